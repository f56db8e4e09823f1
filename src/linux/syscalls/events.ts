/**
 * System calls that make files of counters and of timers: eventfd and timerfd.
 *
 * @module
 */

import { EventFile, O, TimerFile } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { install } from "./limits.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** EFD_SEMAPHORE (linux/eventfd.h). */
const EFD_SEMAPHORE = 1;

/** Clocks that a timer may have (linux/time.h). */
const CLOCK = {
  realtime: 0,
  monotonic: 1,
  boottime: 7,
  realtimeAlarm: 8,
  boottimeAlarm: 9,
} as const;

const CLOCKS: readonly number[] = Object.values(CLOCK);
const WALL_CLOCKS: readonly number[] = [CLOCK.realtime, CLOCK.realtimeAlarm];

/** Flags of timerfd_settime (linux/timerfd.h). */
const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;

/** The longest time of the kernel's timers, seconds (KTIME_SEC_MAX). */
const MAX_SECONDS = 9_223_372_036;

function eventfd(linux: Linux, value: number, flags: number): number {
  if (flags & ~(O.closeOnExec | O.nonBlock | EFD_SEMAPHORE)) {
    return -ERRNO.EINVAL;
  }
  const isSemaphore = (flags & EFD_SEMAPHORE) !== 0;
  const file = new EventFile(flags & O.nonBlock, BigInt(value), isSemaphore);
  return install(linux, file, (flags & O.closeOnExec) !== 0);
}

/** A `struct timespec` in nanoseconds; undefined: it is none. */
function timespec(view: DataView, at: number): number | undefined {
  const seconds = Number(view.getBigInt64(at, true));
  const nanoseconds = Number(view.getBigInt64(at + 8, true));
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= 1e9) return undefined;
  return Math.min(seconds, MAX_SECONDS) * 1e9 + nanoseconds;
}

/** Writes what is left of a timer: a `struct itimerspec`. */
function giveLeft(
  linux: Linux,
  va: number,
  { leftNs, intervalNs }: { leftNs: number; intervalNs: number },
): number {
  const view = new DataView(new ArrayBuffer(32));
  for (const [at, ns] of [[0, intervalNs], [16, leftNs]]) {
    const seconds = Math.floor(ns / 1e9);
    view.setBigInt64(at, BigInt(seconds), true);
    view.setBigInt64(at + 8, BigInt(Math.floor(ns - seconds * 1e9)), true);
  }
  return linux.user.writeStruct(va, view);
}

/** The timer behind a descriptor, or a negative errno. */
function timerAt(linux: Linux, fd: number): TimerFile | number {
  const file = linux.fds.file(fd);
  if (!file || file.flags & O.path) return -ERRNO.EBADF;
  return file instanceof TimerFile ? file : -ERRNO.EINVAL;
}

/** Calls that make files of counters and of timers. */
export const eventCalls: SyscallTable = {
  eventfd(linux, args) {
    return eventfd(linux, args.uint(0), 0);
  },
  eventfd2(linux, args) {
    return eventfd(linux, args.uint(0), args.int(1));
  },
  timerfd_create(linux, args) {
    const clock = args.int(0);
    const flags = args.int(1);
    if (flags & ~(O.closeOnExec | O.nonBlock)) return -ERRNO.EINVAL;
    if (!CLOCKS.includes(clock)) return -ERRNO.EINVAL;
    const file = new TimerFile(linux.clock, clock, flags & O.nonBlock);
    return install(linux, file, (flags & O.closeOnExec) !== 0);
  },
  timerfd_settime(linux, args) {
    const flags = args.int(1);
    const given = linux.user.readStruct(args.u64(2), 32);
    if (!given) return -ERRNO.EFAULT;
    const intervalNs = timespec(given, 0);
    const valueNs = timespec(given, 16);
    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) {
      return -ERRNO.EINVAL;
    }
    if (intervalNs === undefined || valueNs === undefined) {
      return -ERRNO.EINVAL;
    }
    const timer = timerAt(linux, args.int(0));
    if (typeof timer === "number") return timer;
    const isAbsolute = (flags & TFD_TIMER_ABSTIME) !== 0;
    const before = timer.left();
    timer.set({
      dueNs: valueNs === 0
        ? null
        : isAbsolute
        ? valueNs
        : linux.clock.monotonicNs() + valueNs,
      intervalNs,
      // A time from now on does not change with the wall clock.
      isWallClock: isAbsolute && WALL_CLOCKS.includes(timer.clockId),
    });
    const oldVa = args.u64(3);
    return oldVa === 0 ? 0 : giveLeft(linux, oldVa, before);
  },
  timerfd_gettime(linux, args) {
    const timer = timerAt(linux, args.int(0));
    if (typeof timer === "number") return timer;
    return giveLeft(linux, args.u64(1), timer.left());
  },
};

/** What they lack. */
export const eventPartly = {
  timerfd_settime: "TFD_TIMER_CANCEL_ON_SET has no effect",
} as const satisfies PartlyTable;
