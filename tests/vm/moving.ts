/**
 * Runs a program to its end, moving it to a new VM again and again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Vm, VmEnd, VmOptions } from "../../mod.ts";
import { guest, native, type Outcome, Scratch, TestVm } from "../support.ts";

/** The exit status of a shell for a VM's end. */
export function statusOf(end: VmEnd): number {
  if (end.kind === "exited") return end.code;
  return end.kind === "signaled" ? 128 + end.signal : 0;
}

/**
 * Runs a program, moving it to a new VM at each SAVE().
 *
 * @param compress whether its images, in its own folder, are
 */
export async function throughSaves(
  options: VmOptions & { readonly cwd: string },
  compress = false,
): Promise<Outcome & { moves: number }> {
  const image = `${options.cwd}/vm.img`;
  const onSave = async (vm: Vm) => {
    await vm.save(image, { compress });
    return "stop" as const;
  };
  const { allow } = options;
  let test = await TestVm.create({ ...options, onSave });
  for (let moves = 0;; moves++) {
    const end = await test.run();
    await test[Symbol.asyncDispose]();
    if (end.kind !== "saved") {
      return { ...test.output, status: statusOf(end), moves };
    }
    test = await TestVm.restore(image, { allow, onSave }, test);
  }
}

/** Waits for a promise, but not longer. */
async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** When a VM is paused next: after some time, or some system calls. */
export type Next = { afterMs: number } | { afterCalls: number };

/** Runs a program to its end, moving it to a new VM again and again. */
async function moving(
  program: string,
  args: string[],
  folder: string,
  next: () => Next,
  reads: readonly string[],
): Promise<{ stdout: string; end: VmEnd; moves: number }> {
  const image = `${folder}/vm.img`;
  let callsLeft = 0;
  const options = {
    allow: { read: [folder, ...reads], write: [folder] },
    tracer: {
      syscall() {
        if (--callsLeft === 0) void test.vm.pause();
      },
    },
  };
  let test = await TestVm.create({ program, args, cwd: folder, ...options });
  test.console.end();
  for (let moves = 0;; moves++) {
    const when = next();
    callsLeft = "afterCalls" in when ? when.afterCalls : 0;
    const running = test.run();
    if ("afterMs" in when) {
      await within(running, when.afterMs);
      await test.vm.pause();
    } else {
      while (test.vm.state === "running") await within(running, 1);
    }
    if (test.vm.end) {
      const end = await running;
      await test[Symbol.asyncDispose]();
      return { stdout: test.output.stdout, end, moves };
    }
    await test.vm.save(image);
    running.catch(() => {});
    await test[Symbol.asyncDispose]();
    test = await TestVm.restore(image, options, test);
  }
}

/** Compares a program that is moved with the same one natively. */
export async function checkMoving(
  name: string,
  args: string[],
  next: () => Next,
  reads: readonly string[] = [],
): Promise<void> {
  const [program] = await guest(name);
  await using natively = new Scratch();
  await using inVm = new Scratch();
  const expected = await native(program, args, natively.path);
  const got = await moving(program, args, inVm.path, next, reads);
  console.log(`${name}: moved ${got.moves} times`);
  assert(got.moves > 0, "it was never moved");
  assertEquals(got.stdout, expected.stdout);
  assertEquals(statusOf(got.end), expected.status);
}
