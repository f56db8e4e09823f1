/**
 * System calls on time.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { type CpuClock, cpuClockOf, cpuTimeNs } from "../cpu_clocks.ts";
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
    default: {
      const cpu = cpuClockOf(linux, clock);
      const ns = cpu && cpuTimeNs(linux, cpu);
      return ns === undefined ? -ERRNO.EINVAL : writeNs(linux, va, ns);
    }
  }
}

function isClock(linux: Linux, clock: number): boolean {
  const isNamed = clock >= CLOCK.realtime && clock <= CLOCK.boottime;
  return isNamed || clock === CLOCK.international ||
    cpuClockOf(linux, clock) !== undefined;
}

/** How often it is looked, at most, whether so much CPU time has passed, ns. */
const CPU_LOOK_NS = 1e6;

/** Waits until a clock of CPU time shows so much, or has gone on by it. */
function sleepByCpu(
  linux: Linux,
  cpu: CpuClock,
  absolute: boolean,
  ns: number,
): number {
  const now = cpuTimeNs(linux, cpu);
  if (now === undefined) return -ERRNO.EINVAL;
  const cpuNs = linux.resumed?.cpuNs ??
    Math.min(Math.round(absolute ? ns : now + ns), Number.MAX_SAFE_INTEGER);
  if (now >= cpuNs) return 0;
  // It is not sooner than if it computed all the time.
  const leftNs = Math.max(cpuNs - now, CPU_LOOK_NS);
  return linux.waitFor({
    deadlineNs: linux.clock.deadlineNs(0, leftNs),
    cpuNs,
  });
}

/** nanosleep and clock_nanosleep. */
function sleep(
  linux: Linux,
  clock: number,
  absolute: boolean,
  requestVa: number,
): number {
  const { resumed } = linux;
  // One that goes on has read it, whatever is in memory now.
  if (resumed && resumed.deadlineNs !== null && resumed.cpuNs == null) {
    return sleepUntil(linux, resumed.deadlineNs);
  }
  const request = linux.user.readStruct(requestVa, 16);
  if (!request) return -ERRNO.EFAULT;
  const seconds = Number(request.getBigInt64(0, true));
  const nanoseconds = Number(request.getBigInt64(8, true));
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= 1e9) {
    return -ERRNO.EINVAL;
  }
  const cpu = cpuClockOf(linux, clock);
  if (cpu) {
    // Nobody computes while it waits for itself.
    if (cpu.tid === linux.task.tid) return -ERRNO.EINVAL;
    return sleepByCpu(linux, cpu, absolute, seconds * 1e9 + nanoseconds);
  }
  if (!absolute) {
    return sleepUntil(linux, linux.clock.deadlineNs(seconds, nanoseconds));
  }
  if (clock !== CLOCK.realtime) {
    const ns = seconds * 1e9 + nanoseconds;
    return sleepUntil(linux, Math.min(ns, Number.MAX_SAFE_INTEGER));
  }
  const now = linux.guestClock.readRealtime();
  const left = (seconds - now.seconds) * 1e9 + nanoseconds - now.nanoseconds;
  const leftNs = Math.max(0, Math.min(left, 2e18));
  return sleepUntil(linux, linux.clock.deadlineNs(0, leftNs));
}

/** Waits until a time of CLOCK_MONOTONIC. */
function sleepUntil(linux: Linux, deadlineNs: number): number {
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
    if (!isClock(linux, args.int(0))) return -ERRNO.EINVAL;
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
      const request = linux.user.readStruct(args.u64(2), 16);
      if (!request) return -ERRNO.EFAULT;
    }
    if (!isClock(linux, clock)) return -ERRNO.EINVAL;
    if (
      clock > 0 && clock !== CLOCK.monotonic && clock !== CLOCK.boottime &&
      clock !== CLOCK.processCpu
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
export const timePartly = {
  clock_gettime:
    "CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, clocks of devices (EINVAL)",
  clock_getres: "as clock_gettime; 1 ns for all",
  clock_nanosleep:
    "CLOCK_TAI and clocks of alarms; a time of CLOCK_REALTIME does not follow that clock",
  times: "system time: it counts as the program's own",
} as const satisfies PartlyTable;
