/**
 * Counting what passes.
 *
 * @module
 */

import { makeStage, type Stage } from "./stage.ts";

/** A stage that counts. */
export interface CountStage extends Stage {
  /**
   * How many bytes passed in all, once the stream has ended. Rejects when the
   * pipeline fails; nobody has to look.
   */
  readonly bytes: Promise<number>;
  /** How many bytes passed so far. */
  readonly bytesSoFar: number;
}

/**
 * Counts the bytes that pass, and hands them on unchanged.
 *
 * @example Measure what a compression gains
 * ```ts
 * import { count, zstdCompress } from "@scratchvm/scratchvm";
 *
 * const before = count();
 * const after = count();
 * await ReadableStream.from([new Uint8Array(1_000_000)])
 *   .pipeThrough(before).pipeThrough(zstdCompress()).pipeThrough(after)
 *   .pipeTo(new WritableStream());
 * console.log(await before.bytes, "became", await after.bytes);
 * ```
 */
export function count(): CountStage {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  promise.catch(() => {});
  let bytesSoFar = 0;
  const stage = makeStage((emit) => ({
    write(chunk) {
      bytesSoFar += chunk.length;
      return emit(chunk);
    },
    close: () => resolve(bytesSoFar),
    fail: reject,
  }), { chunksAhead: 0 });
  return {
    ...stage,
    bytes: promise,
    get bytesSoFar() {
      return bytesSoFar;
    },
  };
}
