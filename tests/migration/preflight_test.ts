/**
 * Destinations that lack what a VM needs: every reason is told at once, before
 * any memory moves, and the VM goes on where it is.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  askMigration,
  listenForVms,
  MigrationError,
  type Phase,
  reasonsAgainst,
} from "../../mod.ts";
import { decodePayload, encodePayload } from "../../src/state/mod.ts";
import { kvmTest, kvmTestUnless } from "../kvm_gate.ts";
import { lacksMount } from "../machine.ts";
import { onSmallDisk } from "../mounted.ts";
import { heldVm, Scratch } from "../support.ts";
import { FrameProxy } from "./frame_proxy.ts";
import { tidily } from "./tidy.ts";
import { move } from "./two_sides.ts";

const MEMORY_BYTES = 64 * 1024 * 1024;

/** That a path may not be opened, whatever is in it. */
function denied(path: string): RegExp {
  const text = path.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return new RegExp(
    `^Cannot restore descriptor \\d+ \\(${text}\\): it may not be opened`,
  );
}

/** Whether each pattern fits one reason, and each reason one pattern. */
function assertReasons(
  reasons: readonly string[],
  patterns: readonly RegExp[],
): void {
  assertEquals(reasons.length, patterns.length, reasons.join("\n"));
  for (const pattern of patterns) {
    const fitting = reasons.filter((reason) => pattern.test(reason));
    assertEquals(fitting.length, 1, `${pattern}: ${reasons.join("\n")}`);
  }
}

kvmTest(
  "preflight: every reason is told at once, and no memory moves",
  async () => {
    await using scratch = new Scratch();
    await using elsewhere = new Scratch();
    await using test = await heldVm(scratch.path, {
      memoryBytes: MEMORY_BYTES,
    });
    await tidily(async () => {
      await using receiver = await listenForVms("tcp://127.0.0.1:0");
      await using proxy = new FrameProxy(receiver.name);
      const mine = { read: [scratch.path], write: [scratch.path] };
      const theirs = { read: [elsewhere.path], write: [elsewhere.path] };
      const ask = async (allow: typeof mine) => {
        const asked = receiver.receive({ allow });
        const reasons = await askMigration(test.vm, receiver.name);
        assertEquals(await asked, undefined);
        assertEquals(test.vm.state, "running");
        return reasons;
      };
      assertEquals(await ask(mine), []);
      assertReasons(await ask(theirs), [
        denied(scratch.file("held.txt")),
        denied(scratch.path),
      ]);
      // It goes when the source has looked, and the destination has not.
      const path = scratch.file("held.txt");
      const phases: Phase[] = [];
      proxy.onFrame = ({ name }) => {
        if (name === "offer") Deno.renameSync(path, `${path}.other`);
      };
      const { error, arrived } = await move(test.vm, receiver, {
        to: proxy.name,
        source: { onProgress: ({ phase }) => void phases.push(phase) },
        destination: { allow: mine },
      });
      assertEquals(arrived.vm, undefined);
      if (!(error instanceof MigrationError)) throw error;
      assertEquals(error.code, "MIGRATION_REFUSED");
      assertReasons(error.reasons, [/expected a file of 7 bytes, found none/]);
      assertEquals(phases, ["hello", "preflight"]);
      assert(!proxy.passed.some(({ name }) => name === "data"));
      assertEquals(test.vm.state, "running");
      await Deno.rename(`${path}.other`, path);
    });
  },
);

kvmTest(
  "preflight: memory, components and files that do not fit are named together",
  async () => {
    await using scratch = new Scratch();
    await using elsewhere = new Scratch();
    await using test = await heldVm(scratch.path, {
      memoryBytes: MEMORY_BYTES,
    });
    const offer = await test.vm.freeze((frozen) => frozen.offer());
    const allow = { read: [scratch.path], write: [scratch.path] };
    assertEquals(await reasonsAgainst(offer, { allow }), []);
    const component = { kind: "gpu", id: "gpu0", version: 1 };
    const state = offer.state.map((section) => {
      if (section.kind !== "machine") return section;
      const machine = decodePayload(section.payload) as object;
      const payload = encodePayload({ ...machine, memoryBytes: 2 ** 50 });
      return { ...section, payload };
    });
    const components = offer.components.map((it) =>
      it.kind === "clock" ? { ...it, version: 99 } : it
    );
    const reasons = await reasonsAgainst(
      { ...offer, state, components: [...components, component] },
      { allow: { read: [elsewhere.path], write: [elsewhere.path] } },
    );
    assertReasons(reasons, [
      /^Nothing here takes gpu "gpu0"$/,
      /^The version of clock "\w+" is 99, must be <= 1$/,
      /with 1125899906842624 bytes of memory: this machine has/,
      denied(scratch.file("held.txt")),
      denied(scratch.path),
    ]);
  },
);

kvmTestUnless(
  lacksMount(),
  "migrate: a destination whose disk is full says so, and the VM goes on here",
  () =>
    onSmallDisk("256k", async (folder) => {
      await using scratch = new Scratch();
      const home = scratch.path;
      await using receiver = await listenForVms("tcp://127.0.0.1:0");
      const random = crypto.getRandomValues(new Uint8Array(60_000));
      const fail = async (temporary: string, root?: string) => {
        await using test = await heldVm(home, { memoryBytes: MEMORY_BYTES });
        const path = `${home}/held.txt`;
        for (let i = 0; i < 3; i++) {
          Deno.writeFileSync(path, random, { append: true });
        }
        const old = Deno.env.get("TMPDIR");
        Deno.env.set("TMPDIR", temporary);
        try {
          const { error, arrived } = await move(test.vm, receiver, {
            source: { carryFiles: true },
            destination: {
              files: "carry",
              root,
              allow: { read: [home], write: [home] },
            },
          });
          assertEquals(arrived.vm, undefined);
          assert(error instanceof MigrationError, `${error}`);
          assertEquals(error.code, "MIGRATION_FAILED", error.message);
          assertMatch(error.message, /No space left|os error 28|ENOSPC/);
        } finally {
          if (old === undefined) Deno.env.delete("TMPDIR");
          else Deno.env.set("TMPDIR", old);
        }
        // Where it is it goes on.
        assertEquals(test.vm.state, "running");
        await test.vm.pause();
        test.console.push("input");
        const end = await test.run();
        assertEquals(end.kind, "exited");
      };
      // No room for what the image carries while it comes.
      Deno.writeFileSync(`${folder}/filler`, new Uint8Array(200_000));
      await fail(folder);
      assertEquals([...Deno.readDirSync(folder)].length, 1);
      // No room where it belongs.
      Deno.mkdirSync(`${folder}${home}`, { recursive: true });
      await fail(home, folder);
      assertEquals([...Deno.readDirSync(`${folder}${home}`)], []);
    }),
);
