/**
 * Payloads: values as CBOR (RFC 8949), and values from CBOR that nobody
 * vouches for.
 *
 * @module
 */

import { decode, encode } from "cborg";
import { checkCbor } from "./cbor_check.ts";
import { MAX_PAYLOAD_BYTES } from "./format.ts";

/**
 * A value as CBOR, always the same bytes for the same value: keys in order,
 * lengths and integers in their shortest form. Properties that are `undefined`
 * are left out.
 *
 * @throws {Error} when the value holds what a payload may not, or too much
 */
export function encodePayload(value: unknown): Uint8Array {
  const bytes = encode(value, { ignoreUndefinedProperties: true });
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    throw new Error(
      `its state is ${bytes.length} bytes long, must be <= ${MAX_PAYLOAD_BYTES}`,
    );
  }
  // What the reader would refuse must not be written.
  checkCbor(bytes);
  return bytes;
}

/**
 * The value that a payload holds. Integers above 2^53 - 1 become bigints;
 * byte strings are copies.
 *
 * @throws {Error} when the bytes are not exactly one value, made of what a
 * payload may hold
 */
export function decodePayload(bytes: Uint8Array): unknown {
  // First: what decodes values would allocate, or recurse, before it notices.
  checkCbor(bytes);
  return decode(bytes, {
    strict: true,
    allowIndefinite: false,
    allowUndefined: false,
    rejectDuplicateMapKeys: true,
  });
}
