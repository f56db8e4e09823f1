/**
 * Telling how far a pipeline is.
 *
 * @module
 */

import { makeStage, type Stage } from "./stage.ts";

/** How far a pipeline is. */
export interface Progress {
  /** How many bytes passed so far. */
  readonly bytes: number;
  /** How many it will be, if that was said. */
  readonly totalBytes?: number;
  /** How many pass in a second, on average since the first; 0 at first. */
  readonly bytesPerSecond: number;
}

/** How {@linkcode progress} tells. */
export interface ProgressOptions {
  /**
   * The least time between two calls, in milliseconds; 100 if it is not given.
   * With 0 there is a call for each chunk. The end is always told.
   */
  readonly intervalMs?: number;
  /** How many bytes there will be, to be told with each call. */
  readonly totalBytes?: number;
  /** The time in milliseconds; `performance.now` if it is not given. */
  readonly now?: () => number;
}

/**
 * Calls a function from time to time, and at the end, with how many bytes
 * passed; hands them on unchanged. It has no timer: a pipeline that stands
 * still is not told of.
 *
 * @example
 * ```ts
 * import { progress } from "@scratchvm/scratchvm";
 *
 * await ReadableStream.from([new Uint8Array(1000)])
 *   .pipeThrough(progress(({ bytes }) => console.log(`${bytes} bytes`)))
 *   .pipeTo(new WritableStream());
 * ```
 *
 * @param callback is told; what it throws fails the pipeline
 * @param options how often, and of how much
 */
export function progress(
  callback: (progress: Progress) => void,
  options: ProgressOptions = {},
): Stage {
  const { intervalMs = 100, totalBytes, now = () => performance.now() } =
    options;
  let bytes = 0;
  let startMs: number | undefined;
  let toldMs = -Infinity;
  const tell = () => {
    toldMs = now();
    const seconds = (toldMs - (startMs ?? toldMs)) / 1000;
    callback({
      bytes,
      ...totalBytes === undefined ? {} : { totalBytes },
      bytesPerSecond: seconds > 0 ? bytes / seconds : 0,
    });
  };
  return makeStage((emit) => ({
    async write(chunk) {
      startMs ??= now();
      // Told of when it was taken, not when it came.
      await emit(chunk);
      bytes += chunk.length;
      if (now() - toldMs >= intervalMs) tell();
    },
    close: tell,
  }), { chunksAhead: 0 });
}
