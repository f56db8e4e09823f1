/**
 * Passing on at most so many bytes in a second.
 *
 * @module
 */

import { makeStage, type Stage } from "./stage.ts";

/** How {@linkcode rateLimit} limits. */
export interface RateLimitOptions {
  /** How many bytes may pass in a second; more than 0. */
  readonly bytesPerSecond: number;
  /** Ends the pipeline early, also while it waits. */
  readonly signal?: AbortSignal;
  /** What time is, for those who have another; the host's if not given. */
  readonly clock?: RateLimitClock;
}

/** What time is to {@linkcode rateLimit}. */
export interface RateLimitClock {
  /** The time, in milliseconds. */
  now(): number;
  /** Resolves after so many milliseconds; rejects when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** What may pass at once after a pause: what passes in this time. */
const BURST_SECONDS = 0.1;

/** What may pass at once, however fast it is. */
const MOST_BURST_BYTES = 1024 * 1024;

/** A timer of more than 2^31 - 1 ms would fire at once. */
const MOST_SLEEP_MS = 60_000;

const HOST_CLOCK: RateLimitClock = {
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal.addEventListener("abort", onAbort, { once: true });
    }),
};

/**
 * Lets at most so many bytes pass in a second: a token bucket of a tenth of a
 * second, at most 1 MiB. Chunks that are larger are split; bytes are handed on
 * unchanged.
 *
 * @example Leave some of the network to others
 * ```ts
 * import { rateLimit } from "@scratchvm/scratchvm";
 *
 * await ReadableStream.from([new Uint8Array(100_000)])
 *   .pipeThrough(rateLimit({ bytesPerSecond: 10_000_000 }))
 *   .pipeTo(new WritableStream());
 * ```
 *
 * @throws {RangeError} when the rate is not a number above 0
 */
export function rateLimit(options: RateLimitOptions): Stage {
  const { bytesPerSecond, signal, clock = HOST_CLOCK } = options;
  if (!(bytesPerSecond > 0) || bytesPerSecond === Infinity) {
    throw new RangeError(
      `Cannot limit the rate: it must be above 0, and is ${bytesPerSecond}`,
    );
  }
  const burstBytes = Math.max(
    1,
    Math.min(MOST_BURST_BYTES, Math.floor(bytesPerSecond * BURST_SECONDS)),
  );
  const ended = new AbortController();
  let tokens = burstBytes;
  let atMs = clock.now();
  const refill = () => {
    const nowMs = clock.now();
    const earned = (nowMs - atMs) / 1000 * bytesPerSecond;
    tokens = Math.min(burstBytes, tokens + earned);
    atMs = nowMs;
  };
  const take = async (wanted: number) => {
    refill();
    while (tokens < wanted) {
      // Timers are no finer than a millisecond; waking early only waits again.
      const ms = Math.ceil((wanted - tokens) / bytesPerSecond * 1000);
      await clock.sleep(Math.min(ms, MOST_SLEEP_MS), ended.signal);
      refill();
    }
    tokens -= wanted;
  };
  return makeStage((emit) => ({
    async write(chunk) {
      for (let done = 0; done < chunk.length; done += burstBytes) {
        const piece = chunk.subarray(done, done + burstBytes);
        await take(piece.length);
        await emit(piece);
      }
    },
    fail: (reason) => ended.abort(reason),
  }), { chunksAhead: 0, signal });
}
