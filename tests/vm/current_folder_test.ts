/**
 * The current folder of a program: what becomes of it while it is frozen, while
 * others move it, and in a root of the program's own.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ERRNO } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, Scratch, TestVm } from "../support.ts";
import { throughSaves } from "./moving.ts";

for (const variant of ["", "_musl"]) {
  kvmTest(
    `current${variant}: a folder that is renamed, and removed, stays the current one across SAVE()`,
    async () => {
      const [program] = await guest(`current${variant}`);
      await using natively = new Scratch();
      await using inVm = new Scratch();
      const args = ["saved"];
      const expected = await native(program, args, natively.path);
      const cwd = inVm.path;
      const allow = { read: [cwd], write: [cwd] };
      const got = await throughSaves({ program, args, cwd, allow });
      assertEquals(
        got.stdout.replaceAll(cwd, "(folder)").split("\n"),
        expected.stdout.replaceAll(natively.path, "(folder)").split("\n"),
      );
      assertEquals([got.status, got.moves], [expected.status, 3]);
    },
    `current${variant}`,
  );
}

/** What each call of the program's gave, without the calls. */
function answers(stdout: string): string[] {
  return stdout.trimEnd().split("\n").map((line) =>
    line.split(/ {2,}/).at(-1)!
  );
}

/** What this process has open that is called so, or is in it. */
function openIn(path: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // the one that read the folder
    }
  }).filter((target) => target.startsWith(path));
}

kvmTest(
  "current: a folder that the host moves is the program's as long as it is where the program may be",
  async () => {
    const [program] = await guest("current");
    await using allowed = new Scratch();
    await using elsewhere = new Scratch();
    const places = [
      allowed.file("other"),
      elsewhere.file("d"),
      allowed.file("back"),
    ];
    let place = allowed.file("d");
    const rest = [...places];
    const test = await TestVm.create({
      program,
      args: ["host"],
      cwd: allowed.path,
      allow: { read: [allowed.path], write: [allowed.path] },
      onSave: () => {
        const next = rest.shift()!;
        Deno.renameSync(place, next);
        place = next;
        return Promise.resolve(0);
      },
    });
    try {
      assertEquals(await test.run(), { kind: "exited", code: 0 });
      const none = `-1 ${ERRNO.ENOENT}`;
      const works = ["0 0", "0 0", "0 0", "ok 0", "ok 0", "ok 0", "ok 0"];
      assertEquals(answers(test.output.stdout), [
        ...["0 0", "0 0", "0 0"],
        ...[...works, "0 0"],
        ...[none, none, none, none, none, none, `-1 ${ERRNO.EACCES}`, none],
        ...[...works, "0 0"],
      ]);
      assertEquals([...Deno.readDirSync(places[2])].length, 2);
      for (const path of places) assertEquals(openIn(path), []);
    } finally {
      await test[Symbol.asyncDispose]();
    }
    assertEquals(openIn(allowed.path), []);
  },
  "current",
);

kvmTest(
  "current: in a root of its own a program's folder has names in it",
  async () => {
    const [program] = await guest("current");
    await using natively = new Scratch();
    await using root = new Scratch();
    await Deno.copyFile(program, root.file("current"));
    const expected = await native(program, [], natively.path);
    await using test = await TestVm.create({
      program: "/current",
      root: root.path,
      cwd: "/",
      allow: { read: ["/"], write: ["/"] },
    });
    const end = await test.run();
    assertEquals(
      test.output.stdout.split("\n"),
      expected.stdout.replaceAll(natively.path, "").split("\n"),
    );
    assertEquals(end, { kind: "exited", code: 0 });
  },
  "current",
);
