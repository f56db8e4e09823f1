/**
 * The 32 bits of a futex, and when who waits at one gives up.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";

/** Bits of a futex that has an owner (linux/futex.h). */
export const WORD = {
  /** Somebody waits for it. */
  waiters: 0x8000_0000,
  /** Its owner has ended. */
  ownerDied: 0x4000_0000,
  /** Who owns it: the number of a thread. */
  tid: 0x3fff_ffff,
} as const;

/**
 * The address of a futex that argument `i` is; a negative errno where none can
 * be. One above 2^53 is known by its low bits alone.
 */
export function futexAt(linux: Linux, args: Registers, i: number): number {
  if (args.uint(i) % 4 !== 0) return -ERRNO.EINVAL;
  const va = args.u64(i);
  return linux.user.inRange(va, 4) ? va : -ERRNO.EFAULT;
}

/** The number at `va`, or a negative errno. */
export function load(linux: Linux, va: number): number {
  if (va % 4 !== 0) return -ERRNO.EINVAL;
  return linux.user.readStruct(va, 4)?.getUint32(0, true) ?? -ERRNO.EFAULT;
}

/**
 * When a wait ends at the latest: null for never, `undefined` where the program
 * may not be read or names no time, with the errno.
 */
export function deadlineOf(
  linux: Linux,
  va: number,
  isAbsolute: boolean,
  isRealtime: boolean,
): { deadlineNs: number | null } | number {
  if (va === 0) return { deadlineNs: null };
  const time = linux.user.readStruct(va, 16);
  if (!time) return -ERRNO.EFAULT;
  let seconds = Number(time.getBigInt64(0, true));
  let nanoseconds = Number(time.getBigInt64(8, true));
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= 1e9) {
    return -ERRNO.EINVAL;
  }
  const { clock } = linux;
  if (!isAbsolute) {
    return { deadlineNs: clock.deadlineNs(seconds, nanoseconds) };
  }
  if (!isRealtime) {
    const ns = seconds * 1e9 + nanoseconds;
    return { deadlineNs: Math.min(ns, Number.MAX_SAFE_INTEGER) };
  }
  clock.readRealtime();
  seconds -= clock.seconds;
  nanoseconds -= clock.nanoseconds;
  const leftNs = Math.min(Math.max(seconds * 1e9 + nanoseconds, 0), 2e18);
  return { deadlineNs: clock.deadlineNs(0, leftNs) };
}
