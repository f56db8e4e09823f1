/**
 * The calls that programs made before there was a vDSO: functions at fixed
 * addresses in the kernel's half, which old static programs still call. Nothing
 * is there: who jumps to one faults, and the fault becomes a system call
 * (arch/x86/entry/vsyscall/vsyscall_64.c, as with vsyscall=xonly, but that a bad
 * pointer gives EFAULT and no signal).
 *
 * @module
 */

import type { Linux } from "./linux.ts";
import type { ExceptionFrame } from "./registers.ts";
import { SYS } from "./syscall_numbers.ts";

/** Where each of them is (uapi/asm/vsyscall.h), and its system call. */
const CALLS: ReadonlyMap<bigint, number> = new Map([
  [0xffff_ffff_ff60_0000n, SYS.gettimeofday],
  [0xffff_ffff_ff60_0400n, SYS.time],
  [0xffff_ffff_ff60_0800n, SYS.getcpu],
]);

/**
 * Makes of a call of one of them what a `syscall` leaves, with where to return
 * to taken from the stack.
 *
 * @param frame of a page fault of the program; the registers are as it says
 * @returns false, and nothing was changed, when it is none
 * @throws {OutOfMemoryError} when the stack has no memory
 */
export function becomesSyscall(
  linux: Linux,
  frame: ExceptionFrame,
): boolean {
  // Nothing that is there could fault: it was fetched.
  const number = CALLS.get(frame.rip);
  if (number === undefined) return false;
  const { registers, user } = linux;
  const from = user.readStruct(Number(frame.rsp), 8);
  if (!from) return false;
  registers.set("rax", BigInt(number));
  registers.set("rcx", from.getBigUint64(0, true));
  registers.set("r11", BigInt(frame.rflags));
  registers.set("rsp", frame.rsp + 8n);
  return true;
}
