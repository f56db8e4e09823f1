/**
 * What becomes of a system call that a signal interrupts (signal(7)).
 *
 * @module
 */

import type { PendingCall } from "../../devices/mod.ts";
import type { Linux } from "../linux.ts";
import { SYS } from "../syscall_numbers.ts";

/** Calls that end with EINTR even where handlers ask for a restart. */
const NEVER_RESTARTED = new Set<number>([
  SYS.poll,
  SYS.ppoll,
  SYS.select,
  SYS.pselect6,
  SYS.epoll_wait,
  SYS.epoll_pwait,
  SYS.epoll_pwait2,
  SYS.nanosleep,
  SYS.clock_nanosleep,
  SYS.rt_sigtimedwait,
  SYS.rt_sigsuspend,
  SYS.pause,
  SYS.semop,
  SYS.semtimedop,
  SYS.msgsnd,
  SYS.msgrcv,
  SYS.io_getevents,
]);

/** Whether a call begins anew behind a handler that asks for it. */
export function restarts(call: PendingCall): boolean {
  // A wait at a futex for some time would begin with all of its time again.
  const isTimedFutex = call.number === SYS.futex && call.deadlineNs !== null;
  return !NEVER_RESTARTED.has(call.number) && !isTimedFutex;
}

/** Calls that end with EINTR when the program was stopped and goes on. */
const ENDED_BY_STOP = new Set<number>([
  SYS.epoll_wait,
  SYS.epoll_pwait,
  SYS.epoll_pwait2,
  SYS.rt_sigtimedwait,
]);

/** Whether a call ends although no handler was called: the program stopped. */
export function endsByStop(call: PendingCall): boolean {
  return ENDED_BY_STOP.has(call.number);
}

/** FUTEX_LOCK_PI and FUTEX_LOCK_PI2, and what else is said (linux/futex.h). */
const LOCKS = new Set<number>([6, 13]);
const FUTEX_COMMAND = 0x7f;

/** Whether a call begins anew whatever handlers ask for. */
export function alwaysRestarts(
  { number, arguments: args }: PendingCall,
): boolean {
  return number === SYS.futex && LOCKS.has(Number(args[1]) & FUTEX_COMMAND);
}

/** TIMER_ABSTIME. */
const ABSOLUTE = 1n;

/** Where a call is told how much time it had left, and in which unit. */
const TIME_LEFT: Readonly<
  Record<number, (args: readonly bigint[]) => [va: bigint, unitNs: number]>
> = {
  [SYS.nanosleep]: (args) => [args[1], 1],
  [SYS.clock_nanosleep]: (args) => [args[1] & ABSOLUTE ? 0n : args[3], 1],
  [SYS.select]: (args) => [args[4], 1000],
  [SYS.pselect6]: (args) => [args[4], 1],
  [SYS.ppoll]: (args) => [args[2], 1],
};

/**
 * Tells the program how much time its call had left; where that may not be
 * written, it is not.
 */
export function giveTimeLeft(linux: Linux, call: PendingCall): void {
  if (call.deadlineNs === null) return;
  const [va, unitNs] = TIME_LEFT[call.number]?.(call.arguments) ?? [0n, 1];
  if (va === 0n) return;
  const leftNs = Math.max(0, call.deadlineNs - linux.clock.monotonicNs());
  const time = new DataView(new ArrayBuffer(16));
  time.setBigInt64(0, BigInt(Math.floor(leftNs / 1e9)), true);
  time.setBigInt64(8, BigInt(Math.floor(leftNs % 1e9 / unitNs)), true);
  linux.user.writeStruct(Number(va), time);
}
