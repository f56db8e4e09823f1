/**
 * Telling what comes later from what is there.
 *
 * @module
 */

/** Whether a value is a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null)?.then === "function";
}

/**
 * Refuses what comes later where only what is there counts.
 *
 * @param who what gave it, for the message
 * @throws {TypeError} when it is a promise
 */
export function refusePromise(given: unknown, who: string): void {
  if (!isThenable(given)) return;
  // Should it fail, that is of no interest any more, and must end nothing.
  Promise.resolve(given).catch(() => {});
  throw new TypeError(`${who} gave a promise, must not be async`);
}
