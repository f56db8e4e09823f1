/**
 * What is open before and after.
 *
 * @module
 */

import { delay, resources } from "../support.ts";

/** How often it is looked whether what was closed has gone. */
const LOOKS = 1000;

/**
 * Runs `work`, after which no more descriptors may be open than before. Deno
 * closes some a moment after it was told to.
 *
 * @throws {Error} when there are more, and stay
 */
export async function tidily<T>(work: () => Promise<T>): Promise<T> {
  const before = resources().fds;
  const result = await work();
  for (let look = 0; resources().fds > before; look++) {
    if (look === LOOKS) {
      throw new Error(`${resources().fds - before} descriptors were left open`);
    }
    await delay(5);
  }
  return result;
}
