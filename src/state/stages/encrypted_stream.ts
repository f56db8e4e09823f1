/**
 * What an encrypted stream looks like; docs/pipelines.md has it in full.
 *
 * @module
 */

import { viewOf } from "../fields.ts";
import type { FramePlace } from "./frames.ts";

/** The first bytes: one that is not ASCII, "SVE", CR LF SUB LF. */
export const ENCRYPTED_MAGIC: Uint8Array = Uint8Array.of(
  ...[0x89, 0x53, 0x56, 0x45, 0x0d, 0x0a, 0x1a, 0x0a],
);

/** Where the fields of the header are that only encryption has. */
export const ENCRYPTED_HEADER = {
  kdf: 20,
  iterations: 24,
  reserved: 28,
  salt: 32,
  keyCheck: 64,
  reservedEnd: 96,
  crc: 124,
} as const;

/** Length of the salt, and of the check of the key. */
export const SALT_BYTES = 32;

/** Length of what AES-GCM adds to each frame. */
export const TAG_BYTES = 16;

/** The nonce of a frame, 12 bytes: no two frames of a stream share one. */
export function nonceOf({ index, isFinal }: FramePlace): Uint8Array<
  ArrayBuffer
> {
  const nonce = new Uint8Array(12);
  viewOf(nonce).setUint32(0, index, true);
  nonce[8] = isFinal ? 1 : 0;
  return nonce;
}
