/**
 * What sends the program signals at times: setitimer's timers, and those of
 * timer_create.
 *
 * @module
 */

import { CPU_CLOCK, cpuTimeNs } from "../cpu_clocks.ts";
import type { Linux } from "../linux.ts";
import { SIGNAL } from "../faults.ts";
import type { Timed } from "../scheduler.ts";
import {
  fromKernel,
  fromTimer,
  INFO,
  type PendingSignal,
  viewOfInfo,
} from "./info.ts";
import { hasTimers } from "./queue.ts";
import type { IntervalTimer, PosixTimer } from "./state.ts";

/** Timers of setitimer (linux/time.h). */
export const ITIMER = { real: 0, virtual: 1, prof: 2 } as const;

/** How a timer tells of itself (asm-generic/siginfo.h). */
export const SIGEV = { signal: 0, none: 1, thread: 2, threadId: 4 } as const;

/** Longest timer that setTimeout takes, ms. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** The signal of each of setitimer's timers. */
const SIGNALS = [SIGNAL.SIGALRM, SIGNAL.SIGVTALRM, SIGNAL.SIGPROF] as const;

/** What timer_getoverrun gives at most (DELAYTIMER_MAX). */
const MAX_OVERRUN = 0x7fff_ffff;

/** When a timer expires after `now`, and how often it did besides. */
function advance(
  nextNs: number,
  intervalNs: number,
  now: number,
): { nextNs: number; missed: number } {
  const missed = Math.floor((now - nextNs) / intervalNs);
  const next = nextNs + (missed + 1) * intervalNs;
  return { nextNs: Math.min(next, Number.MAX_SAFE_INTEGER), missed };
}

/** Whether a timer goes by CPU time. */
function isOfCpu({ clock }: PosixTimer): boolean {
  return clock === CPU_CLOCK.process || clock === CPU_CLOCK.thread;
}

/** The timers of one program, which run while its clock does. */
export class Timers implements Timed {
  readonly #linux: Linux;

  /** @param linux whose timers they are */
  constructor(linux: Linux) {
    this.#linux = linux;
    linux.signals.onTimer = (taken) => this.#onTaken(taken);
  }

  get #state(): {
    intervalTimers: IntervalTimer[];
    timers: PosixTimer[];
    nextTimer: number;
  } {
    return this.#linux.process.state;
  }

  /** What the clock of one of setitimer's timers shows. */
  #now(which: number): number {
    return which === ITIMER.real
      ? this.#linux.clock.monotonicNs()
      : this.#linux.cpuNs();
  }

  /** Nanoseconds until one of setitimer's expires, and its interval; 0: never. */
  interval(which: number): [leftNs: number, intervalNs: number] {
    const timer = this.#state.intervalTimers.find((t) => t.which === which);
    if (!timer) return [0, 0];
    // One that runs has something left.
    const leftNs = Math.max(timer.nextNs - this.#now(which), 1000);
    return [leftNs, timer.intervalNs];
  }

  /** Sets one of setitimer's timers; `leftNs` 0 stops it. */
  setInterval(which: number, leftNs: number, intervalNs: number): void {
    const { intervalTimers } = this.#state;
    const at = intervalTimers.findIndex((timer) => timer.which === which);
    if (at >= 0) intervalTimers.splice(at, 1);
    if (leftNs === 0) return;
    const nextNs = Math.min(
      Math.round(this.#now(which) + leftNs),
      Number.MAX_SAFE_INTEGER,
    );
    intervalTimers.push({ which, nextNs, intervalNs });
  }

  /** A timer of timer_create's. */
  get(id: number): PosixTimer | undefined {
    return this.#state.timers.find((timer) => timer.id === id);
  }

  /**
   * What the clock of a timer shows, as its {@linkcode PosixTimer.nextNs} has
   * it; undefined where its thread has ended.
   */
  timeNs(timer: PosixTimer): number | undefined {
    return isOfCpu(timer)
      ? cpuTimeNs(this.#linux, { tid: timer.cpuTid })
      : this.#linux.clock.monotonicNs();
  }

  /** Makes a timer, which does not run yet; its number. */
  create(
    made: Pick<
      PosixTimer,
      "clock" | "cpuTid" | "notify" | "signal" | "tid"
    >,
  ): number {
    const state = this.#state;
    while (this.get(state.nextTimer)) this.#countTimer();
    const id = state.nextTimer;
    this.#countTimer();
    state.timers.push({
      ...made,
      id,
      value: BigInt(id),
      nextNs: null,
      intervalNs: 0,
      missed: 0,
      overrun: 0,
    });
    return id;
  }

  #countTimer(): void {
    const next = this.#state.nextTimer + 1;
    this.#state.nextTimer = next > 0x7fff_ffff ? 0 : next;
  }

  /** Removes a timer. */
  delete(timer: PosixTimer): void {
    const { timers } = this.#state;
    timers.splice(timers.indexOf(timer), 1);
  }

  expire(isIdle: boolean): void {
    const { intervalTimers, timers } = this.#state;
    for (const timer of [...intervalTimers]) {
      const { which } = timer;
      // While nobody has a CPU no time of it passes.
      if (isIdle && which !== ITIMER.real) continue;
      const now = this.#now(which);
      if (timer.nextNs > now) continue;
      if (timer.intervalNs > 0) {
        timer.nextNs = advance(timer.nextNs, timer.intervalNs, now).nextNs;
      } else intervalTimers.splice(intervalTimers.indexOf(timer), 1);
      this.#linux.signals.send(fromKernel(SIGNALS[which]));
    }
    for (const timer of timers) {
      if (!isIdle || !isOfCpu(timer)) this.#expirePosix(timer);
    }
  }

  #expirePosix(timer: PosixTimer): void {
    const now = this.timeNs(timer);
    if (timer.nextNs === null || now === undefined || timer.nextNs > now) {
      return;
    }
    let missed = 0;
    if (timer.intervalNs > 0) {
      const later = advance(timer.nextNs, timer.intervalNs, now);
      timer.nextNs = later.nextNs;
      missed = later.missed;
    } else timer.nextNs = null;
    if (timer.notify === SIGEV.none) return;
    const { process, signals } = this.#linux;
    const task = timer.notify === SIGEV.threadId
      ? process.tasks.get(timer.tid)
      : undefined;
    if (timer.notify === SIGEV.threadId && !task) return;
    const queue = task ? task.state.signals : process.state.signals;
    // A signal that waits still is not sent again: it tells of more.
    if (hasTimers(queue, timer.id)) {
      timer.missed = Math.min(timer.missed + missed + 1, MAX_OVERRUN);
      return;
    }
    timer.missed = Math.min(missed, MAX_OVERRUN);
    signals.send(fromTimer(timer.signal, timer.id, timer.value), task);
  }

  /** The signal of a timer is taken: it says how often it expired besides. */
  #onTaken(taken: PendingSignal): void {
    const view = viewOfInfo(taken);
    const timer = this.get(view.getInt32(INFO.pid, true));
    if (!timer) return;
    timer.overrun = timer.missed;
    timer.missed = 0;
    view.setInt32(INFO.uid, timer.overrun, true);
  }

  leftMs(isIdle: boolean): number {
    let leftNs = Infinity;
    for (const { which, nextNs } of this.#state.intervalTimers) {
      if (isIdle && which !== ITIMER.real) continue;
      leftNs = Math.min(leftNs, nextNs - this.#now(which));
    }
    for (const timer of this.#state.timers) {
      const { nextNs, notify } = timer;
      if (nextNs === null || notify === SIGEV.none) continue;
      // Of a thread, time passes only while it has the CPU.
      const stands = isOfCpu(timer) &&
        (isIdle || timer.cpuTid !== 0 && timer.cpuTid !== this.#linux.task.tid);
      const now = stands ? undefined : this.timeNs(timer);
      if (now !== undefined) leftNs = Math.min(leftNs, nextNs - now);
    }
    if (leftNs === Infinity) return Infinity;
    return Math.min(Math.max(Math.ceil(leftNs / 1e6), 0), MAX_TIMER_MS);
  }
}
