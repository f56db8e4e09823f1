/**
 * Clocks of CPU time: of the process, or of one of its threads.
 *
 * @module
 */

import type { Linux } from "./linux.ts";

/** Clocks of the process and of the thread that asks (linux/time.h). */
export const CPU_CLOCK = { process: 2, thread: 3 } as const;

/** What a negative number of a clock says (linux/posix-timers.h). */
const PER_THREAD = 4;
const WHICH_MASK = 3;
/** It names a descriptor, and no process. */
const WHICH_FD = 3;

/** A clock of CPU time: a thread's number, or 0 for that of the process. */
export interface CpuClock {
  readonly tid: number;
}

/** The clock of CPU time that a number stands for, if it does. */
export function cpuClockOf(linux: Linux, clock: number): CpuClock | undefined {
  if (clock === CPU_CLOCK.process) return { tid: 0 };
  if (clock === CPU_CLOCK.thread) return { tid: linux.task.tid };
  if (clock >= 0 || (clock & WHICH_MASK) === WHICH_FD) return undefined;
  const id = ~(clock >> 3);
  if (clock & PER_THREAD) {
    const tid = id === 0 ? linux.task.tid : id;
    return linux.process.tasks.has(tid) ? { tid } : undefined;
  }
  return id === 0 || id === linux.process.state.pid ? { tid: 0 } : undefined;
}

/** Nanoseconds that a clock shows; undefined: its thread has ended. */
export function cpuTimeNs(
  linux: Linux,
  { tid }: CpuClock,
): number | undefined {
  if (tid === 0) return linux.cpuNs();
  const task = linux.process.tasks.get(tid);
  return task && linux.scheduler.cpuNs(task);
}
