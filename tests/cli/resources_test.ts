/**
 * What VMs take of the host, they give back.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";
import { Vm } from "../../mod.ts";
import { held, moreHeld } from "./held.ts";

/** POSIX timers of this process. */
function timerCount(): number {
  try {
    const text = Deno.readTextFileSync("/proc/self/timers");
    return text.split("\n").filter((line) => line.startsWith("ID:")).length;
  } catch {
    // A kernel without CONFIG_CHECKPOINT_RESTORE does not tell.
    return -1;
  }
}

/** Threads of this process. */
function threadCount(): number {
  return [...Deno.readDirSync("/proc/self/task")].length;
}

/** Creates, runs, saves, restores and ends a VM in each way there is. */
async function round(program: string, folder: string): Promise<void> {
  const image = `${folder}/vm.img`;
  const allow = { read: [folder], write: [folder] };
  const options = { program, cwd: folder, allow };
  const first = await TestVm.create(options);
  first.run().catch(() => {});
  await first.until("ready");
  await first.vm.save(image);
  await first[Symbol.asyncDispose]();
  // Restored, and never run.
  await (await TestVm.restore(image, { allow }))[Symbol.asyncDispose]();
  // Restored, and run to its end.
  await using second = await TestVm.restore(image, { allow });
  second.console.push("go on\n");
  assertEquals(await second.run(), { kind: "exited", code: 7 });
  // Never run; not a program; no image; a save that fails.
  await using third = await TestVm.create(options);
  await assertRejects(() => third.vm.save(`${folder}/none/vm.img`));
  await assertRejects(() => Vm.create({ ...options, program: image }));
  await assertRejects(() => Vm.restore(program, { allow }));
  await assertRejects(() =>
    Vm.restore(image, { allow: { read: [], write: [] } })
  );
  // A save that is given up.
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => third.vm.save(image, { signal }), Error, "enough");
}

kvmTest(
  "resources: twenty VMs of every fate leave nothing behind",
  async () => {
    const [program] = await guest("held");
    await using scratch = new Scratch();
    // What is opened once for the life of the process is opened now.
    for (let i = 0; i < 3; i++) await round(program, scratch.path);
    const files = [...Deno.readDirSync(scratch.path)].map(({ name }) => name);
    const image = `${scratch.path}/vm.img`;
    const before = held(image);
    const timers = timerCount();
    const threads = threadCount();
    for (let i = 0; i < 20; i++) await round(program, scratch.path);
    assertEquals(moreHeld(before, held(image)), {});
    assertEquals(timerCount(), timers);
    // Deno's pool grows up to 32 and shrinks as it likes; a VM has no thread of
    // its own. Twenty rounds of six VMs would show.
    const more = threadCount() - threads;
    assert(more < 40, `${more} threads more`);
    assertEquals(
      [...Deno.readDirSync(scratch.path)].map(({ name }) => name).sort(),
      files.sort(),
    );
  },
);
