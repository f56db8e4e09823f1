/**
 * Sending no faster than was allowed.
 *
 * @module
 */

import { type ImageSink, rateLimit } from "../state/mod.ts";

/** A sink with an end. */
export interface PacedSink extends ImageSink {
  /** Resolves when all was passed on. */
  end(): Promise<void>;
}

/**
 * Passes chunks on, at most so many bytes a second.
 *
 * @param bytesPerSecond absent: as fast as they come
 * @throws {RangeError} when the rate is not a number above 0
 */
export function paced(
  sink: ImageSink,
  bytesPerSecond: number | undefined,
  signal: AbortSignal | undefined,
): PacedSink {
  if (bytesPerSecond === undefined) {
    return { write: (chunk) => sink.write(chunk), end: async () => {} };
  }
  const stage = rateLimit({ bytesPerSecond, signal });
  const writer = stage.writable.getWriter();
  const passing = passOn(stage.readable, sink);
  passing.catch(() => {});
  const orWhy = async (step: Promise<void>) => {
    try {
      await step;
    } catch (error) {
      // Why the sink failed says more than that the stage was given up.
      await passing;
      throw error;
    }
  };
  return {
    write: (chunk) => orWhy(writer.write(chunk)),
    end: async () => {
      await orWhy(writer.close());
      await passing;
    },
  };
}

async function passOn(
  from: ReadableStream<Uint8Array>,
  to: ImageSink,
): Promise<void> {
  const reader = from.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      await to.write(value);
    }
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  }
}
