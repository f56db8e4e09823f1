/**
 * System calls on time.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Clocks (linux/time.h). */
const CLOCK = {
  realtime: 0,
  monotonic: 1,
  processCpu: 2,
  threadCpu: 3,
  monotonicRaw: 4,
  realtimeCoarse: 5,
  monotonicCoarse: 6,
  boottime: 7,
  international: 11,
} as const;
const TIMER_ABSTIME = 1;

/** Negative numbers of clocks: of a descriptor, or else of a process. */
const CLOCK_FD_MASK = 7;
const CLOCK_FD = 3;

/** Bits of a CPU clock's number: whether of a thread, and of which time. */
const CPU_CLOCK = { perThread: 4, which: 3 } as const;

/** Scratch for a `struct timespec` or `timeval`. */
const pair = new DataView(new ArrayBuffer(16));

function writePair(
  linux: Linux,
  va: number,
  seconds: number,
  fraction: number,
): number {
  pair.setInt32(0, seconds | 0, true);
  pair.setInt32(4, Math.floor(seconds / 0x1_0000_0000), true);
  pair.setInt32(8, fraction, true);
  pair.setInt32(12, 0, true);
  return linux.user.writeStruct(va, pair);
}

function writeNs(linux: Linux, va: number, ns: number): number {
  const seconds = Math.floor(ns / 1e9);
  return writePair(linux, va, seconds, ns - seconds * 1e9);
}

/** Writes a clock's time; -EINVAL for a clock that is not there. */
function readClock(linux: Linux, clock: number, va: number): number {
  switch (clock) {
    case CLOCK.realtime:
    case CLOCK.international: // of a kernel that was told of no leap second
    case CLOCK.realtimeCoarse: {
      const { seconds, nanoseconds } = linux.guestClock.readRealtime();
      return writePair(linux, va, seconds, nanoseconds);
    }
    case CLOCK.monotonic:
    case CLOCK.monotonicRaw:
    case CLOCK.monotonicCoarse:
    case CLOCK.boottime:
      return writeNs(linux, va, linux.guestClock.monotonicNs());
    case CLOCK.processCpu:
      return writeNs(linux, va, linux.cpuNs());
    case CLOCK.threadCpu:
      return writeNs(linux, va, linux.scheduler.cpuNs(linux.task));
    default: {
      const ns = cpuClockNs(linux, clock);
      return ns === undefined ? -ERRNO.EINVAL : writeNs(linux, va, ns);
    }
  }
}

/** What the clock of a process's or thread's CPU time shows, if it is one. */
function cpuClockNs(linux: Linux, clock: number): number | undefined {
  if (clock >= 0 || (clock & CPU_CLOCK.which) === CLOCK_FD) return undefined;
  const id = ~(clock >> 3);
  const { tasks, current } = linux.process;
  if (clock & CPU_CLOCK.perThread) {
    const task = id === 0 ? current : tasks.get(id);
    return task && linux.scheduler.cpuNs(task);
  }
  const isOwn = id === 0 || tasks.has(id);
  return isOwn ? linux.cpuNs() : undefined;
}

function isClock(clock: number): boolean {
  return clock >= CLOCK.realtime && clock <= CLOCK.boottime ||
    clock === CLOCK.international;
}

/** nanosleep and clock_nanosleep. */
function sleep(
  linux: Linux,
  clock: number,
  absolute: boolean,
  requestVa: number,
): number {
  const request = linux.user.readStruct(requestVa, 16);
  if (!request) return -ERRNO.EFAULT;
  const seconds = Number(request.getBigInt64(0, true));
  const nanoseconds = Number(request.getBigInt64(8, true));
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= 1e9) {
    return -ERRNO.EINVAL;
  }
  if (clock === CLOCK.processCpu) {
    return linux.unsupported("sleeping by CPU time", -ERRNO.EOPNOTSUPP);
  }
  let deadlineNs = linux.resumed?.deadlineNs;
  if (deadlineNs === undefined || deadlineNs === null) {
    if (!absolute) deadlineNs = linux.clock.deadlineNs(seconds, nanoseconds);
    else if (clock === CLOCK.realtime) {
      const now = linux.guestClock.readRealtime();
      const left = (seconds - now.seconds) * 1e9 + nanoseconds -
        now.nanoseconds;
      deadlineNs = linux.clock.deadlineNs(0, Math.max(0, Math.min(left, 2e18)));
    } else {
      deadlineNs = Math.min(
        seconds * 1e9 + nanoseconds,
        Number.MAX_SAFE_INTEGER,
      );
    }
  }
  if (linux.guestClock.monotonicNs() >= deadlineNs) return 0;
  return linux.waitFor({ deadlineNs });
}

/** Calls on time. */
export const timeCalls: SyscallTable = {
  clock_gettime(linux, args) {
    linux.guestClock.onCall(args);
    return readClock(linux, args.int(0), args.u64(1));
  },
  clock_getres(linux, args) {
    const clock = args.int(0);
    if (!isClock(clock) && cpuClockNs(linux, clock) === undefined) {
      return -ERRNO.EINVAL;
    }
    const va = args.u64(1);
    return va === 0 ? 0 : writePair(linux, va, 0, 1);
  },
  gettimeofday(linux, args) {
    const va = args.u64(0);
    const zoneVa = args.u64(1);
    linux.guestClock.onCall(args);
    if (va !== 0) {
      const { seconds, nanoseconds } = linux.guestClock.readRealtime();
      const microseconds = Math.floor(nanoseconds / 1000);
      const result = writePair(linux, va, seconds, microseconds);
      if (result < 0) return result;
    }
    if (zoneVa === 0) return 0;
    return linux.user.write(zoneVa, new Uint8Array(8)) ? 0 : -ERRNO.EFAULT;
  },
  time(linux, args) {
    linux.guestClock.onCall(args);
    const { seconds } = linux.guestClock.readRealtime();
    const va = args.u64(0);
    if (va === 0) return seconds;
    const bytes = new BigInt64Array([BigInt(seconds)]);
    return linux.user.write(va, new Uint8Array(bytes.buffer))
      ? seconds
      : -ERRNO.EFAULT;
  },
  nanosleep(linux, args) {
    return sleep(linux, CLOCK.monotonic, false, args.u64(0));
  },
  clock_nanosleep(linux, args) {
    const clock = args.int(0);
    const flags = args.int(1);
    if (clock < 0 && (clock & CLOCK_FD_MASK) !== CLOCK_FD) {
      // The CPU time of a process or thread: of one that is not there.
      const request = linux.user.readStruct(args.u64(2), 16);
      return request ? -ERRNO.EINVAL : -ERRNO.EFAULT;
    }
    if (!isClock(clock)) return -ERRNO.EINVAL;
    if (
      clock !== CLOCK.realtime && clock !== CLOCK.monotonic &&
      clock !== CLOCK.boottime && clock !== CLOCK.processCpu
    ) return -ERRNO.EOPNOTSUPP;
    return sleep(linux, clock, (flags & TIMER_ABSTIME) !== 0, args.u64(2));
  },
  times(linux, args) {
    const ticks = (ns: number) => BigInt(Math.floor(ns / 1e7));
    const va = args.u64(0);
    if (va !== 0) {
      const user = ticks(linux.cpuNs());
      const bytes = new BigInt64Array([user, 0n, 0n, 0n]);
      if (!linux.user.write(va, new Uint8Array(bytes.buffer))) {
        return -ERRNO.EFAULT;
      }
    }
    return Number(ticks(linux.clock.monotonicNs()));
  },
};

/** What they lack. */
export const timePartly: PartlyTable = {
  clock_nanosleep: "CPU clocks",
};
