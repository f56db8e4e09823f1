/**
 * What a signed stream looks like; docs/pipelines.md has it in full.
 *
 * @module
 */

import { viewOf } from "../fields.ts";
import { nodeCrypto } from "../node_builtins.ts";
import { type FramePlace, STREAM_HEADER } from "./frames.ts";

/** The first bytes: one that is not ASCII, "SVS", CR LF SUB LF. */
export const SIGNED_MAGIC: Uint8Array = Uint8Array.of(
  ...[0x89, 0x53, 0x56, 0x53, 0x0d, 0x0a, 0x1a, 0x0a],
);

/** Where the fields of the header are that only a signed stream has. */
export const SIGNED_HEADER = {
  algorithm: 20,
  reserved: 24,
  streamId: 32,
  fingerprint: 64,
  reservedEnd: 96,
  crc: 124,
} as const;

/** The number of Ed25519, the one algorithm there is. */
export const ED25519 = 1;

/** Length of the stream's id, and of a key's fingerprint. */
export const ID_BYTES = 32;

/** Length of a signature of Ed25519. */
export const SIGNATURE_BYTES = 64;

/** What a signature begins with, so that it is good for nothing else. */
const DOMAIN = new TextEncoder().encode("ScratchVM signed frame v1\0");

/** Where things are in what is signed, behind the domain. */
const SIGNED = {
  header: DOMAIN.length,
  index: DOMAIN.length + STREAM_HEADER.sizeBytes,
  flags: DOMAIN.length + STREAM_HEADER.sizeBytes + 8,
  digest: DOMAIN.length + STREAM_HEADER.sizeBytes + 12,
  sizeBytes: DOMAIN.length + STREAM_HEADER.sizeBytes + 12 + 32,
} as const;

/** What the signature of a frame is over. */
export function signedMessage(
  header: Uint8Array,
  { index, isFinal }: FramePlace,
  chunk: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(SIGNED.sizeBytes);
  const view = viewOf(message);
  message.set(DOMAIN);
  message.set(header, SIGNED.header);
  view.setBigUint64(SIGNED.index, BigInt(index), true);
  view.setUint32(SIGNED.flags, isFinal ? 1 : 0, true);
  message.set(
    nodeCrypto().createHash("sha256").update(chunk).digest(),
    SIGNED.digest,
  );
  return message;
}
