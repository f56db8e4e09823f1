/**
 * System calls on timers that send signals.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { CPU_CLOCK, cpuClockOf } from "../cpu_clocks.ts";
import type { Linux } from "../linux.ts";
import { SIGNAL } from "../faults.ts";
import { isSignal } from "../signals/sets.ts";
import { MAX_TIMERS, type PosixTimer } from "../signals/state.ts";
import { ITIMER, SIGEV } from "../signals/timers.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Clocks that a timer may have here (linux/time.h). */
const CLOCK = { realtime: 0, monotonic: 1, boottime: 7 } as const;

/** Those that can only be read: raw, and the coarse ones. */
const NO_TIMERS = new Set([4, 5, 6]);

const TIMER_ABSTIME = 1;

/** Where fields of a `struct sigevent` are (asm-generic/siginfo.h). */
const EVENT = { value: 0, signal: 8, notify: 12, tid: 16, bytes: 64 } as const;

/** Bytes of two `struct timeval` or `timespec`: the interval, and what is left. */
const PAIR_BYTES = 32;

/** Two times, each as nanoseconds. */
interface Times {
  readonly intervalNs: number;
  readonly leftNs: number;
}

/** Reads two times; or a negative errno. @param unitNs of the lower part */
function readTimes(
  linux: Linux,
  va: number,
  unitNs: 1 | 1000,
): Times | number {
  const view = linux.user.readStruct(va, PAIR_BYTES);
  if (!view) return -ERRNO.EFAULT;
  const times: number[] = [];
  for (const at of [0, 16]) {
    const seconds = Number(view.getBigInt64(at, true));
    const part = Number(view.getBigInt64(at + 8, true));
    if (seconds < 0 || part < 0 || part * unitNs >= 1e9) return -ERRNO.EINVAL;
    const ns = seconds * 1e9 + part * unitNs;
    times.push(Math.min(ns, Number.MAX_SAFE_INTEGER));
  }
  return { intervalNs: times[0], leftNs: times[1] };
}

function writeTimes(
  linux: Linux,
  va: number,
  { intervalNs, leftNs }: Times,
  unitNs: 1 | 1000,
): number {
  const view = new DataView(new ArrayBuffer(PAIR_BYTES));
  [intervalNs, leftNs].forEach((ns, i) => {
    const at = i * 16;
    view.setBigInt64(at, BigInt(Math.floor(ns / 1e9)), true);
    view.setBigInt64(at + 8, BigInt(Math.floor(ns % 1e9 / unitNs)), true);
  });
  return linux.user.writeStruct(va, view);
}

function intervalOf(linux: Linux, which: number): Times {
  const [leftNs, intervalNs] = linux.timers.interval(which);
  return { leftNs, intervalNs };
}

function isIntervalTimer(which: number): boolean {
  return which >= ITIMER.real && which <= ITIMER.prof;
}

/** How much a timer has left. */
function timeOf(linux: Linux, timer: PosixTimer): Times {
  const { nextNs, intervalNs } = timer;
  const now = linux.timers.timeNs(timer);
  if (nextNs === null || now === undefined) return { intervalNs, leftNs: 0 };
  let leftNs = nextNs - now;
  if (leftNs <= 0 && intervalNs > 0) {
    leftNs += Math.ceil((1 - leftNs) / intervalNs) * intervalNs;
  }
  // One that runs has something left.
  return { intervalNs, leftNs: Math.max(leftNs, 1) };
}

/** When something absolute is, in nanoseconds of CLOCK_MONOTONIC. */
function absolute(linux: Linux, clock: number, ns: number): number {
  if (clock !== CLOCK.realtime) return ns;
  linux.clock.readRealtime();
  const { seconds, nanoseconds } = linux.clock;
  const leftNs = Math.max(0, ns - (seconds * 1e9 + nanoseconds));
  return linux.clock.monotonicNs() + leftNs;
}

/** Calls on timers. */
export const timerCalls: SyscallTable = {
  alarm(linux, args) {
    const [leftNs] = linux.timers.interval(ITIMER.real);
    linux.timers.setInterval(ITIMER.real, args.uint(0) * 1e9, 0);
    // A second that has begun counts, but for less than half of one.
    return leftNs === 0 ? 0 : Math.max(1, Math.round(leftNs / 1e9));
  },
  getitimer(linux, args) {
    const which = args.int(0);
    if (!isIntervalTimer(which)) return -ERRNO.EINVAL;
    return writeTimes(linux, args.u64(1), intervalOf(linux, which), 1000);
  },
  setitimer(linux, args) {
    const which = args.int(0);
    const newVa = args.u64(1);
    const oldVa = args.u64(2);
    // No new one stops it: Linux, too, takes that.
    const times = newVa === 0
      ? { intervalNs: 0, leftNs: 0 }
      : readTimes(linux, newVa, 1000);
    if (typeof times === "number") return times;
    if (!isIntervalTimer(which)) return -ERRNO.EINVAL;
    const old = intervalOf(linux, which);
    linux.timers.setInterval(which, times.leftNs, times.intervalNs);
    return oldVa === 0 ? 0 : writeTimes(linux, oldVa, old, 1000);
  },
  timer_create(linux, args) {
    const clock = args.int(0);
    const eventVa = args.u64(1);
    let notify: number = SIGEV.signal;
    let signal: number = SIGNAL.SIGALRM;
    let tid = 0;
    let value: bigint | undefined;
    if (eventVa !== 0) {
      const view = linux.user.readStruct(eventVa, EVENT.bytes);
      if (!view) return -ERRNO.EFAULT;
      value = view.getBigUint64(EVENT.value, true);
      signal = view.getInt32(EVENT.signal, true);
      notify = view.getInt32(EVENT.notify, true);
      tid = view.getInt32(EVENT.tid, true);
    }
    const cpu = cpuClockOf(linux, clock);
    if (NO_TIMERS.has(clock)) return -ERRNO.EOPNOTSUPP;
    if (
      !cpu && clock !== CLOCK.realtime && clock !== CLOCK.monotonic &&
      clock !== CLOCK.boottime
    ) return -ERRNO.EINVAL;
    if (
      notify !== SIGEV.signal && notify !== SIGEV.none &&
      notify !== SIGEV.thread && notify !== SIGEV.threadId
    ) return -ERRNO.EINVAL;
    if (notify === SIGEV.none) signal = 0;
    else if (!isSignal(signal)) return -ERRNO.EINVAL;
    const isToThread = notify === SIGEV.threadId;
    if (isToThread && !linux.process.tasks.has(tid)) return -ERRNO.EINVAL;
    if (linux.process.state.timers.length >= MAX_TIMERS) return -ERRNO.EAGAIN;
    const cpuTid = cpu?.tid ?? 0;
    const ofCpu = cpuTid === 0 ? CPU_CLOCK.process : CPU_CLOCK.thread;
    const made = {
      clock: cpu ? ofCpu : clock,
      cpuTid,
      notify,
      signal,
      tid: isToThread ? tid : 0,
    };
    const id = linux.timers.create(made);
    const timer = linux.timers.get(id)!;
    timer.value = value ?? BigInt(id);
    const written = linux.user.writeU32(args.u64(2), id);
    if (written < 0) linux.timers.delete(timer);
    return written;
  },
  timer_settime(linux, args) {
    const newVa = args.u64(2);
    const oldVa = args.u64(3);
    if (newVa === 0) return -ERRNO.EINVAL;
    const times = readTimes(linux, newVa, 1);
    if (typeof times === "number") return times;
    const timer = linux.timers.get(args.int(0));
    if (!timer) return -ERRNO.EINVAL;
    const now = linux.timers.timeNs(timer);
    if (now === undefined) return -ERRNO.ESRCH;
    const old = timeOf(linux, timer);
    const { intervalNs, leftNs } = times;
    timer.intervalNs = leftNs === 0 ? 0 : intervalNs;
    timer.missed = timer.overrun = 0;
    if (leftNs === 0) timer.nextNs = null;
    else {
      const nextNs = args.int(1) & TIMER_ABSTIME
        ? absolute(linux, timer.clock, leftNs)
        : now + leftNs;
      timer.nextNs = Math.min(Math.round(nextNs), Number.MAX_SAFE_INTEGER);
    }
    return oldVa === 0 ? 0 : writeTimes(linux, oldVa, old, 1);
  },
  timer_gettime(linux, args) {
    const timer = linux.timers.get(args.int(0));
    if (!timer) return -ERRNO.EINVAL;
    return writeTimes(linux, args.u64(1), timeOf(linux, timer), 1);
  },
  timer_getoverrun(linux, args) {
    return linux.timers.get(args.int(0))?.overrun ?? -ERRNO.EINVAL;
  },
  timer_delete(linux, args) {
    const timer = linux.timers.get(args.int(0));
    if (!timer) return -ERRNO.EINVAL;
    linux.timers.delete(timer);
    return 0;
  },
};

/** What they lack. */
export const timerPartly = {
  timer_create:
    "CLOCK_TAI, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM (EINVAL)",
  timer_settime: "a time of CLOCK_REALTIME does not follow that clock",
} as const satisfies PartlyTable;
