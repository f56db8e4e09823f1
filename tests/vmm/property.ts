/**
 * Property tests with a seed that is printed and can be given again.
 *
 * @module
 */

import fc from "fast-check";
import { seeded } from "../support.ts";

/** How often a property is tried, and with which numbers. */
export function trials(
  name: string,
  numRuns: number,
): { seed: number; numRuns: number } {
  return { seed: Math.floor(seeded(name)() * 2 ** 31), numRuns };
}

/**
 * Checks that `predicate` does not throw for whatever `arbitrary` gives.
 *
 * @param name for the line with the seed (SCRATCHVM_SEED repeats the run)
 */
export function holds<T>(
  name: string,
  numRuns: number,
  arbitrary: fc.Arbitrary<T>,
  predicate: (value: T) => void,
): void {
  fc.assert(fc.property(arbitrary, predicate), trials(name, numRuns));
}

/** {@linkcode holds}, for a predicate that answers later. */
export async function holdsAsync<T>(
  name: string,
  numRuns: number,
  arbitrary: fc.Arbitrary<T>,
  predicate: (value: T) => Promise<void>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitrary, predicate),
    trials(name, numRuns),
  );
}
