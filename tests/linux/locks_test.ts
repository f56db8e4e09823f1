/**
 * Locks, extended attributes, space and other calls on files, compared with
 * Linux.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { FilesError } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, resources, Scratch, TestVm } from "../support.ts";
import { compareTest } from "./compare.ts";
import { ALL_HELD, locked, triedByAnother } from "./held_locks.ts";

compareTest("locks", "locks and other calls on files answer as on Linux");

compareTest("locks", "a signal ends a wait for a lock, or it goes on", {
  args: ["interrupted"],
});

/** A VM that holds locks on f in `folder`, saved to `image` and stopped. */
async function saveLocked(folder: string, image: string): Promise<TestVm> {
  const [program] = await guest("locks");
  await using first = await TestVm.create({
    program,
    args: ["held"],
    cwd: folder,
    allow: { read: [folder], write: [folder] },
    onSave: async (vm) => {
      await vm.save(image);
      return "stop";
    },
  });
  assertEquals(await first.run(), { kind: "saved" });
  return first;
}

kvmTest("locks: they are held again after a thaw", async () => {
  await using scratch = new Scratch();
  await using images = new Scratch();
  const image = images.file("vm.img");
  const first = await saveLocked(scratch.path, image);
  const allow = { read: [scratch.path], write: [scratch.path] };
  await using second = await TestVm.restore(image, { allow }, first);
  assertEquals(await second.run(), { kind: "exited", code: 0 });
  assertEquals(triedByAnother(second.output.stdout), ALL_HELD);
});

kvmTest(
  "locks: a VM that was saved and stopped, or has ended, holds none",
  async () => {
    await using scratch = new Scratch();
    await using images = new Scratch();
    const image = images.file("vm.img");
    const allow = { read: [scratch.path], write: [scratch.path] };
    const { test, run } = await locked(scratch);
    await using first = test;
    await first.vm.save(image, { stop: true });
    assertEquals(await run, { kind: "saved" });
    // Neither is disposed of before the next has its locks.
    await using second = await TestVm.restore(image, { allow });
    assertEquals(await second.run(), { kind: "exited", code: 0 });
    await using third = await TestVm.restore(image, { allow });
    assertEquals(await third.run(), { kind: "exited", code: 0 });
  },
);

kvmTest("locks: a thaw is refused where another holds one", async () => {
  await using scratch = new Scratch();
  await using images = new Scratch();
  const image = images.file("vm.img");
  await saveLocked(scratch.path, image);
  const before = resources();
  {
    using file = Deno.openSync(scratch.file("f"), { write: true, read: true });
    file.lockSync(true);
    const allow = { read: [scratch.path], write: [scratch.path] };
    const error = await assertRejects(
      () => TestVm.restore(image, { allow }),
      FilesError,
    );
    assertEquals(error.code, "FILES_DENIED");
  }
  assertEquals(resources().fds, before.fds);
});

kvmTest("locks: a lock is waited for until another gives it back", async () => {
  const [program] = await guest("locks");
  await using scratch = new Scratch();
  const file = Deno.openSync(scratch.file("f"), { create: true, write: true });
  file.lockSync(true);
  await using test = await TestVm.create({
    program,
    args: ["wait"],
    cwd: scratch.path,
    allow: { read: [scratch.path], write: [scratch.path] },
  });
  const run = test.run();
  await test.until("waits");
  await delay(100);
  assertEquals(test.vm.end, undefined);
  file.close();
  assertEquals(await run, { kind: "exited", code: 0 });
});
