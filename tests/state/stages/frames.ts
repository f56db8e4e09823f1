/**
 * Taking streams of frames apart by the book, for tests of `encrypt` and
 * `sign`: written from docs/pipelines.md, not from the code.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { type Stage, StageError } from "../../../mod.ts";
import { assertSameBytes, attempt, concat } from "./pipeline.ts";

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

/**
 * Changes each byte of a stream: that is found, and nothing wrong passes.
 *
 * @param bytes what the stream holds
 * @param undo makes the stage that reads it
 */
export async function assertDamageFound(
  pieces: Pieces,
  bytes: Uint8Array,
  random: () => number,
  undo: () => Stage,
): Promise<void> {
  const stream = join(pieces);
  for (let at = 0; at < stream.length; at++) {
    const bad = new Uint8Array(stream);
    bad[at] ^= 1 + Math.floor(random() * 255);
    const { passed, error } = await attempt([bad], undo());
    assert(error instanceof StageError, `byte ${at}: ${error}`);
    assertEquals(
      error.code,
      at < 8 ? "STAGE_FORMAT" : "STAGE_DAMAGED",
      `byte ${at}`,
    );
    assertSameBytes(passed, bytes.subarray(0, passed.length), `byte ${at}`);
    assert(passed.length < bytes.length, `byte ${at}`);
  }
}

/** Changes each byte of each frame so that its checksums fit. */
export async function assertTamperingFound(
  { header, frames }: Pieces,
  bytes: Uint8Array,
  random: () => number,
  undo: () => Stage,
): Promise<void> {
  const chunkBytes = viewOf(header).getUint32(16, true);
  for (const [index, frame] of frames.entries()) {
    for (let at = FRAME_HEADER_BYTES; at < frame.length; at++) {
      const bad = withFrame(
        frame,
        (view) => view.setUint8(at, view.getUint8(at) ^ 1 << random() * 8),
      );
      const stream = join({ header, frames: frames.with(index, bad) });
      const { passed, error } = await attempt([stream], undo());
      assertEquals((error as StageError)?.code, "STAGE_TAMPERED");
      assertSameBytes(passed, bytes.subarray(0, index * chunkBytes));
    }
  }
}
