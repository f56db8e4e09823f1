/**
 * A source and destinations that keep to nothing: the VM goes on here, or was
 * kept.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { FilesError, migrate, MigrationError, type Vm } from "../../mod.ts";
import { FRAME, FRAME_HEADER } from "../../src/migration/frames.ts";
import { kvmTest } from "../kvm_gate.ts";
import { ALL_HELD, locked, triedByAnother } from "../linux/held_locks.ts";
import { Scratch, seeded, TestVm } from "../support.ts";
import { RawPeer } from "./raw_peer.ts";
import { tidily } from "./tidy.ts";
import { waiting } from "./two_sides.ts";

const NONCE = new Uint8Array(16).fill(9);
const HELLO = { lowest: 1, highest: 1, creator: "a peer", nonce: NONCE };

/** How far a destination goes before it does something else. */
const STATES = ["hello", "preflight", "transfer", "commit"] as const;

/** Comes as far as `state`; gives the source's nonce. */
async function reach(
  peer: RawPeer,
  state: typeof STATES[number],
): Promise<unknown> {
  const { nonce } = await peer.value(FRAME.hello);
  if (state === "hello") return nonce;
  await peer.send(FRAME.hello, HELLO);
  await peer.value(FRAME.offer);
  if (state === "preflight") return nonce;
  await peer.send(FRAME.answer, { nonce, reasons: [] });
  if (state === "transfer") return nonce;
  while ((await peer.receive())?.type === FRAME.data);
  await peer.send(FRAME.prepared, { source: nonce, destination: NONCE });
  await peer.value(FRAME.commit);
  return nonce;
}

/** What a move to a peer that does `act` fails with. */
async function against(
  vm: Vm,
  act: (peer: RawPeer) => Promise<void>,
  keep: string,
): Promise<MigrationError> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const moving = migrate(vm, `tcp://127.0.0.1:${listener.addr.port}`, { keep })
    .catch((error) => error);
  using peer = new RawPeer(await listener.accept());
  await act(peer);
  await peer.end();
  while (await peer.receive());
  const error = await moving;
  if (!(error instanceof MigrationError)) throw error;
  return error;
}

kvmTest(
  "migrate: whatever a destination says before the commit, the VM goes on here",
  async () => {
    const random = seeded("migrate");
    await using scratch = new Scratch();
    await using test = await waiting(scratch);
    const { vm } = test;
    const keep = scratch.file("keep.img");
    await tidily(async () => {
      for (const state of STATES.slice(0, 3)) {
        for (const type of [...Object.values(FRAME), 0, 99]) {
          const error = await against(vm, async (peer) => {
            await reach(peer, state);
            await peer.send(type, { reason: "no more room" });
          }, keep);
          if (type === FRAME.failed) {
            assertEquals(error.code, "MIGRATION_FAILED");
            assertMatch(error.message, /failed: no more room$/);
          } else {
            const code = type === FRAME.alive
              ? "MIGRATION_DROPPED"
              : "MIGRATION_PROTOCOL";
            assertEquals(error.code, code, `${state} ${type}: ${error}`);
          }
          assertEquals(vm.state, "running", `${state} ${type}`);
        }
        for (let round = 0; round < 5; round++) {
          const bytes = new Uint8Array(random() * 500)
            .map(() => random() * 256);
          const error = await against(vm, async (peer) => {
            await reach(peer, state);
            await peer.bytes(bytes);
          }, keep);
          const isHeader = bytes.length >= FRAME_HEADER.sizeBytes;
          const code = isHeader ? "MIGRATION_PROTOCOL" : "MIGRATION_DROPPED";
          assertEquals(error.code, code, error.message);
          assertEquals(vm.state, "running");
        }
      }
      const other = new Uint8Array(16);
      for (
        const [act, message] of [
          [async (peer: RawPeer) => {
            await reach(peer, "preflight");
            await peer.send(FRAME.answer, { nonce: other, reasons: [] });
          }, /its answer belongs to another session$/],
          [async (peer: RawPeer) => {
            const nonce = await reach(peer, "transfer");
            while ((await peer.receive())?.type === FRAME.data);
            await peer.send(FRAME.prepared, {
              source: nonce,
              destination: other,
            });
          }, /what it says belongs to another session$/],
          [async (peer: RawPeer) => {
            await peer.value(FRAME.hello);
            await peer.send(FRAME.hello, { ...HELLO, lowest: 2, highest: 3 });
          }, /speaks versions 2 to 3 of the protocol, this side 1 to 1$/],
        ] as const
      ) {
        const error = await against(vm, act, keep);
        assertMatch(error.message, message);
        assertEquals(vm.state, "running");
      }
    });
    assertEquals([...Deno.readDirSync(scratch.path)].length, 1);
    await vm.pause();
    test.console.push("\x07");
    assertEquals(await test.run(), { kind: "exited", code: 7 });
  },
);

kvmTest(
  "migrate: after the commit only its own word gives the VM back",
  async () => {
    await using scratch = new Scratch();
    const keep = scratch.file("keep.img");
    {
      // It says that it did not take it.
      await using test = await waiting(scratch);
      const error = await against(test.vm, async (peer) => {
        await reach(peer, "commit");
        await peer.send(FRAME.failed, { reason: "no more room" });
      }, keep);
      assertEquals(error.code, "MIGRATION_FAILED");
      assertEquals(test.vm.state, "running");
    }
    for (const nonce of [undefined, new Uint8Array(16)]) {
      await using test = await waiting(scratch);
      const error = await against(test.vm, async (peer) => {
        const source = await reach(peer, "commit");
        if (!nonce) await peer.bytes(new Uint8Array(40).fill(0xee));
        else await peer.send(FRAME.done, { source, destination: nonce });
      }, keep);
      assertEquals(error.code, "MIGRATION_UNCERTAIN");
      assertEquals(test.vm.end, { kind: "saved" });
      await Deno.remove(keep);
    }
  },
);

kvmTest(
  "migrate: locks of a VM that comes back are its own again, or it is paused",
  async () => {
    await using scratch = new Scratch();
    await using images = new Scratch();
    const { test } = await locked(scratch);
    await using _ = test;
    const { vm } = test;
    const keep = images.file("keep.img");
    const path = scratch.file("f");
    // A paused VM, whose locks were lent; whether they are held shows the last.
    for (const isTaken of [true, false]) {
      let other: Deno.FsFile | undefined;
      const error = await against(vm, async (peer) => {
        await reach(peer, "commit");
        other = await Deno.open(path, { read: true, write: true });
        assertEquals(other.tryLockSync(true), true);
        if (!isTaken) other.close();
        await peer.send(FRAME.failed, { reason: "no more room" });
      }, keep);
      assertEquals(error.code, "MIGRATION_FAILED");
      assertEquals(vm.state, "paused");
      if (!isTaken) continue;
      assertMatch(
        error.message,
        /no more room; it is paused here: .*another holds one$/,
      );
      await assertRejects(() => vm.run(), FilesError, "another holds one");
      assertEquals(vm.state, "paused");
      other!.close();
    }
    assertEquals(await vm.run(), { kind: "exited", code: 0 });
    assertEquals(triedByAnother(test.output.stdout), ALL_HELD);
  },
);

kvmTest("migrate: an image that is kept has the locks", async () => {
  await using scratch = new Scratch();
  await using images = new Scratch();
  const keep = images.file("keep.img");
  const { test } = await locked(scratch);
  await using first = test;
  const error = await against(
    first.vm,
    async (peer) => void await reach(peer, "commit"),
    keep,
  );
  assertEquals(error.code, "MIGRATION_UNCERTAIN");
  const allow = { read: [scratch.path], write: [scratch.path] };
  await using second = await TestVm.restore(keep, { allow }, first);
  assertEquals(await second.run(), { kind: "exited", code: 0 });
  assertEquals(triedByAnother(second.output.stdout), ALL_HELD);
});
