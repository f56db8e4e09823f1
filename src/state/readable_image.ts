/**
 * An image as a stream: written as fast as somebody reads it.
 *
 * @module
 */

import type { ImageSink } from "./image_sink.ts";

/** How much one read gives at most. */
const CHUNK_BYTES = 256 * 1024;

/** Writes an image to `sink`, until it is complete or `signal` aborts. */
export type WriteTo = (
  sink: ImageSink,
  signal: AbortSignal,
) => Promise<unknown>;

/**
 * A stream of what `write` writes. It is called at the first read, and goes on
 * as far as is read: no more than one chunk waits. Each chunk is a copy of its
 * own, since whoever reads may keep it.
 *
 * Cancelling the stream aborts the signal that `write` was given, and resolves
 * when `write` has ended. What it throws is the stream's error.
 *
 * @param signal gives the writing up, also while nobody reads
 */
export function readableImage(
  write: WriteTo,
  signal?: AbortSignal,
): ReadableStream<Uint8Array> {
  const cancelled = new AbortController();
  const either = signal
    ? AbortSignal.any([signal, cancelled.signal])
    : cancelled.signal;
  either.addEventListener("abort", () => wanted.resolve());
  let wanted = Promise.withResolvers<void>();
  let given = Promise.withResolvers<void>();
  let writing: Promise<void> | undefined;
  return new ReadableStream<Uint8Array>({
    pull(controller): Promise<void> {
      writing ??= write({
        async write(chunk: Uint8Array): Promise<void> {
          for (let done = 0; done < chunk.length; done += CHUNK_BYTES) {
            await wanted.promise;
            either.throwIfAborted();
            wanted = Promise.withResolvers();
            const end = Math.min(done + CHUNK_BYTES, chunk.length);
            // A loop of set() is faster than slice() on memory of others.
            const copy = new Uint8Array(end - done);
            copy.set(chunk.subarray(done, end));
            controller.enqueue(copy);
            given.resolve();
          }
        },
      }, either).then(
        () => controller.close(),
        (error) => controller.error(error),
      ).finally(() => given.resolve());
      given = Promise.withResolvers();
      wanted.resolve();
      return given.promise;
    },
    async cancel(reason): Promise<void> {
      cancelled.abort(reason);
      await writing;
    },
  }, { highWaterMark: 0 });
}
