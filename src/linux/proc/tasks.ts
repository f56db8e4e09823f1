/**
 * What /proc shows of the program's threads.
 *
 * @module
 */

import type { Linux } from "../linux.ts";

/** Numbers of the program's threads, its own first. */
export function taskIds(linux: Linux): readonly number[] {
  return [linux.process.state.pid];
}

/** The number of the thread that makes the call. */
export function currentTaskId(linux: Linux): number {
  return linux.process.state.pid;
}

/** Signals that a thread blocks, and those that wait, bit n-1 for signal n. */
export function signalsOf(
  linux: Linux,
  _tid: number,
): { blocked: bigint; pending: bigint } {
  const { signalMask, signalsPending } = linux.process.state;
  return { blocked: signalMask, pending: signalsPending };
}
