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

/** How AES-GCM is called for a frame; the header is bound to each. */
export function frameCipher(
  header: Uint8Array<ArrayBuffer>,
  { index, isFinal }: FramePlace,
): AesGcmParams {
  const iv = new Uint8Array(12);
  const view = viewOf(iv);
  view.setUint32(0, index, true);
  iv[8] = isFinal ? 1 : 0;
  return {
    name: "AES-GCM",
    iv,
    additionalData: header,
    tagLength: TAG_BYTES * 8,
  };
}
