/**
 * Taking streams of frames apart by the book, for tests of `encrypt` and
 * `sign`: written from docs/pipelines.md, not from the code.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { concat } from "./pipeline.ts";

/** Length of the header of a stream. */
const HEADER_BYTES = 128;

/** Length of the header of a frame. */
const FRAME_HEADER_BYTES = 16;

/** A stream, in pieces that can be changed and put together again. */
export interface Pieces {
  /** The header. */
  readonly header: Uint8Array<ArrayBuffer>;
  /** Each frame, its header included. */
  readonly frames: Uint8Array<ArrayBuffer>[];
}

/** Takes a stream apart. */
export function split(stream: Uint8Array): Pieces {
  const frames: Uint8Array<ArrayBuffer>[] = [];
  for (let at = HEADER_BYTES; at < stream.length;) {
    const length = FRAME_HEADER_BYTES + viewOf(stream).getUint32(at, true);
    frames.push(stream.slice(at, at + length));
    at += length;
  }
  return { header: stream.slice(0, HEADER_BYTES), frames };
}

/** Puts one together. */
export function join({ header, frames }: Pieces): Uint8Array<ArrayBuffer> {
  return concat([header, ...frames]);
}

/** A copy of a header with fields changed, and the checksum made right. */
export function withHeader(
  header: Uint8Array,
  change: (view: DataView) => void,
): Uint8Array<ArrayBuffer> {
  const changed = new Uint8Array(header);
  const view = viewOf(changed);
  change(view);
  view.setUint32(124, crc32(changed.subarray(0, 124)), true);
  return changed;
}

/** A copy of a frame with bytes changed, and the checksums made right. */
export function withFrame(
  frame: Uint8Array,
  change: (view: DataView) => void,
): Uint8Array<ArrayBuffer> {
  const changed = new Uint8Array(frame);
  const view = viewOf(changed);
  change(view);
  view.setUint32(8, crc32(changed.subarray(FRAME_HEADER_BYTES)), true);
  view.setUint32(12, crc32(changed.subarray(0, 12)), true);
  return changed;
}

/** What a frame holds, and whether it is the last. */
export function readFrame(
  frame: Uint8Array,
): { body: Uint8Array<ArrayBuffer>; isFinal: boolean } {
  return {
    body: frame.slice(FRAME_HEADER_BYTES),
    isFinal: viewOf(frame).getUint32(4, true) === 1,
  };
}

/** A DataView over exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
