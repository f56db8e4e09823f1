/**
 * Pieces of schemas that the states of many components share.
 *
 * @module
 */

import * as v from "valibot";

/** A whole number from 0 to 2^53 - 1: a size, an address, an index. */
export const count: v.GenericSchema<unknown, number> = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(0),
);

/** A 32-bit number. */
export const u32: v.GenericSchema<unknown, number> = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(0xffff_ffff),
);

/** A 64-bit number, whichever way it was encoded. */
export const u64: v.GenericSchema<unknown, bigint> = v.pipe(
  v.union([v.pipe(v.number(), v.safeInteger()), v.bigint()]),
  v.transform((value: number | bigint) => BigInt(value)),
  v.minValue(0n),
  v.maxValue(0xffff_ffff_ffff_ffffn),
);

/** At most `maxBytes` bytes. */
export function bytes(maxBytes: number): v.GenericSchema<unknown, Uint8Array> {
  return v.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length <= maxBytes,
    `must be at most ${maxBytes} bytes`,
  );
}
