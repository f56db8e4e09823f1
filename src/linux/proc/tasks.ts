/**
 * What /proc shows of the program's threads.
 *
 * @module
 */

import type { Linux } from "../linux.ts";
import { pendingSet } from "../signals/queue.ts";

/** Numbers of the program's threads, its own first. */
export function taskIds(linux: Linux): readonly number[] {
  return [...linux.process.tasks.keys()];
}

/** The number of the thread that makes the call. */
export function currentTaskId(linux: Linux): number {
  return linux.task.tid;
}

/** Signals that a thread blocks, and those that wait, bit n-1 for signal n. */
export function signalsOf(
  linux: Linux,
  tid: number,
): { blocked: bigint; pending: bigint } {
  const state = linux.process.tasks.get(tid)?.state;
  return {
    blocked: state?.signalMask ?? 0n,
    pending: state ? pendingSet(state.signals) : 0n,
  };
}

/** The name of a thread, a character a byte; its program's when it has ended. */
export function nameOfTask(linux: Linux, tid: number): string {
  return (linux.process.tasks.get(tid) ?? linux.task).state.name;
}
