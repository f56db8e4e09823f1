/**
 * Reading an image from a stream, with bounded memory.
 *
 * @module
 */

import { type ByteSource, StreamSource } from "./byte_source.ts";
import { type ImageVisitor, walkImage } from "./image_walk.ts";
import type { ImageSummary } from "./image_writer.ts";

/** How to read an image from a stream. */
export interface ReadStreamOptions {
  /** How errors call the stream. */
  readonly name?: string;
  /** Ends the reading early. */
  readonly signal?: AbortSignal;
}

/**
 * Reads an image from a stream to the stream's end, and tells `visitor` of
 * what it finds. Held at any time are one payload, one section's data, and the
 * list of sections: whatever the image says, bounded.
 *
 * Each section was checked when `visitor` is told of it; that the image is
 * complete is known only when this has resolved. On failure the stream is
 * cancelled.
 *
 * @throws {ImageError} whatever is wrong with the image or the stream; what
 * the visitor throws; the signal's reason
 */
export async function readImageStream(
  stream: ReadableStream<Uint8Array>,
  visitor: ImageVisitor,
  options: ReadStreamOptions = {},
): Promise<ImageSummary> {
  const { name = "the stream", signal } = options;
  const reader = stream.getReader();
  // Cancelling wakes a read that waits for a peer that is silent.
  const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
  try {
    signal?.throwIfAborted();
    signal?.addEventListener("abort", onAbort);
    return await walkImage(new StreamSource(reader, name, signal), visitor);
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    reader.releaseLock();
  }
}

/**
 * Reads an image to its end from a stream, or from bytes that come by
 * themselves: then the signal is theirs to look at.
 *
 * @throws what {@linkcode readImageStream} throws
 */
export async function readImage(
  source: ReadableStream<Uint8Array> | ByteSource,
  visitor: ImageVisitor,
  options: ReadStreamOptions = {},
): Promise<ImageSummary> {
  if (source instanceof ReadableStream) {
    return await readImageStream(source, visitor, options);
  }
  options.signal?.throwIfAborted();
  return await walkImage(source, visitor);
}
