/**
 * Signals that wait, in the order in which they were sent.
 *
 * @module
 */

import { CODE, INFO, type PendingSignal, viewOfInfo } from "./info.ts";
import { bitOf, FIRST_REALTIME, SYNCHRONOUS } from "./sets.ts";
import { MAX_QUEUED } from "./state.ts";

/** Signals that wait: a task's, or those of the whole process. */
export type SignalQueue = PendingSignal[];

/** Which signals wait. */
export function pendingSet(queue: SignalQueue): bigint {
  // After each call this is asked of each that waits.
  let [low, high] = [0, 0];
  for (const { signal } of queue) {
    if (signal <= 32) low |= 1 << (signal - 1);
    else high |= 1 << (signal - 33);
  }
  return BigInt(high >>> 0) << 32n | BigInt(low >>> 0);
}

/** Room that is left for signals that wait once, however many others do. */
const ROOM_FOR_ONCE = 64;

/**
 * Adds a signal; one that does not queue waits once, however often it is sent.
 * So does one of kill's where there are as many that queue as there may be.
 *
 * @param all every queue of the process: what queues is bound in all of them
 * together
 * @returns false where there are as many as there may be
 */
export function enqueue(
  queue: SignalQueue,
  added: PendingSignal,
  all: Iterable<SignalQueue>,
): boolean {
  const { signal } = added;
  const queues = signal >= FIRST_REALTIME;
  let waiting = 0;
  for (const { length } of all) waiting += length;
  const isFull = waiting >= MAX_QUEUED - ROOM_FOR_ONCE;
  if (queues && isFull) {
    const code = viewOfInfo(added).getInt32(INFO.code, true);
    if (code !== CODE.user) return false;
  }
  const isThere = (!queues || isFull) &&
    queue.some((one) => one.signal === signal);
  if (isThere) return true;
  // Of those that do not queue there is one of each in a queue at most.
  if ((queues ? waiting : queue.length) >= MAX_QUEUED) return false;
  queue.push(added);
  return true;
}

/** Drops the signals of `set`. */
export function discard(queue: SignalQueue, set: bigint): void {
  for (let i = queue.length - 1; i >= 0; i--) {
    if (set & bitOf(queue[i].signal)) queue.splice(i, 1);
  }
}

/** The place of the next signal of `set` to be delivered; -1 for none. */
export function nextOf(queue: SignalQueue, set: bigint): number {
  let found = -1;
  let best = 0;
  for (let i = 0; i < queue.length; i++) {
    const { signal } = queue[i];
    if (!(set & bitOf(signal))) continue;
    // Faults come before all others, then lower numbers before higher ones.
    const rank = bitOf(signal) & SYNCHRONOUS ? signal - 64 : signal;
    if (found >= 0 && rank >= best) continue;
    found = i;
    best = rank;
  }
  return found;
}

/** Whether the signal of a timer waits. */
export function hasTimers(queue: SignalQueue, timer: number): boolean {
  return queue.some((one) => {
    const view = viewOfInfo(one);
    return view.getInt32(INFO.code, true) === CODE.timer &&
      view.getInt32(INFO.pid, true) === timer;
  });
}
