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

/** Most bytes of a path, with the zero behind it (PATH_MAX). */
const MAX_PATH_BYTES = 4096;

/** Whether each character stands for a byte that a path can hold. */
export function isOfBytes(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 0 || code > 0xff) return false;
  }
  return true;
}

/** A path from the root, each character, 1 to 255, a byte of it. */
export const bytePath: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.startsWith("/"),
  v.maxLength(MAX_PATH_BYTES),
  v.check(isOfBytes, "must be of bytes other than zero"),
);

/** A path from the root, as text. */
export const textPath: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.startsWith("/"),
  v.maxLength(MAX_PATH_BYTES),
  v.check((path) => !path.includes("\0"), "must not hold a zero"),
);

/** A path from the root, as the bytes of it. */
export const rawPath: v.GenericSchema<unknown, Uint8Array> = v.pipe(
  bytes(MAX_PATH_BYTES),
  v.check((path) => path[0] === 0x2f, 'must begin with "/"'),
  v.check((path) => !path.includes(0), "must not hold a zero"),
);

/** At most `maxBytes` bytes. */
export function bytes(maxBytes: number): v.GenericSchema<unknown, Uint8Array> {
  return v.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length <= maxBytes,
    `must be at most ${maxBytes} bytes`,
  );
}
