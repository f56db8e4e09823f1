/**
 * The end of an image: where its index is, how long it is, and its digest.
 *
 * @module
 */

import { crcFits, getU64, hasMagic, putCrc, viewOf } from "./fields.ts";
import { TRAILER, TRAILER_MAGIC } from "./format.ts";

/** What the trailer of an image says. */
export interface ImageTrailer {
  /** Where the index section starts. */
  readonly indexOffset: number;
  /** How many bytes the whole image has, trailer included. */
  readonly totalBytes: number;
  /** SHA-256 of the header and of every section's header, in order. */
  readonly digest: Uint8Array;
}

/** The bytes of a trailer. */
export function encodeTrailer(trailer: ImageTrailer): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(TRAILER.sizeBytes);
  const view = viewOf(bytes);
  bytes.set(TRAILER_MAGIC, TRAILER.magic);
  view.setBigUint64(TRAILER.indexOffset, BigInt(trailer.indexOffset), true);
  view.setBigUint64(TRAILER.totalBytes, BigInt(trailer.totalBytes), true);
  bytes.set(trailer.digest, TRAILER.digest);
  putCrc(bytes, TRAILER.crc);
  return bytes;
}

/** Reads a trailer from its 64 bytes; `undefined` when it is damaged. */
export function decodeTrailer(bytes: Uint8Array): ImageTrailer | undefined {
  const view = viewOf(bytes);
  const indexOffset = getU64(view, TRAILER.indexOffset);
  const totalBytes = getU64(view, TRAILER.totalBytes);
  if (
    !crcFits(bytes, TRAILER.crc) || !hasMagic(bytes, TRAILER_MAGIC) ||
    indexOffset === undefined || totalBytes === undefined
  ) {
    return undefined;
  }
  const digest = bytes.slice(TRAILER.digest, TRAILER.digest + 32);
  return { indexOffset, totalBytes, digest };
}
