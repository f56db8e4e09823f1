/**
 * Work in steps: done in one go, or with the event loop in between.
 *
 * @module
 */

import { yieldToEventLoop } from "../state/mod.ts";

/** Work that stops now and then, and gives its result at its end. */
export type Steps<T> = Generator<void, T, void>;

/** Does all of it in one go. @throws what it throws */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * Does it with a turn of the event loop at each stop.
 *
 * @param signal has it fail at its next stop, with the signal's reason
 * @throws what it throws
 */
export async function inTurns<T>(
  steps: Steps<T>,
  signal?: AbortSignal,
): Promise<T> {
  let step = steps.next();
  while (!step.done) {
    await yieldToEventLoop();
    // Thrown where it stands, so that it gives back what it holds.
    step = signal?.aborted ? steps.throw(signal.reason) : steps.next();
  }
  return step.value;
}
