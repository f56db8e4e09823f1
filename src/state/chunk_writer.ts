/**
 * The stretch between the writer and the sink: offsets, and fewer, larger
 * writes.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { ImageSink } from "./image_sink.ts";

/** Chunks below this are gathered: a system call costs as much as the copy. */
const DIRECT_BYTES = 64 * 1024;

/** How much is gathered before it is written. */
const GATHER_BYTES = 1024 * 1024;

/** How much is written at once; a multiple of a large page. */
const MOST_BYTES = 8 * 1024 * 1024;

/** How much is written before the event loop gets a turn. */
const YIELD_BYTES = 16 * 1024 * 1024;

/** Lets timers, sockets and signals have their turn. */
export function yieldToEventLoop(): Promise<void> {
  // Not setTimeout: that costs 2 ms, this 10 µs.
  return new Promise((resolve) => setImmediate(() => resolve()));
}

/** Passes chunks on to a sink, small ones together. */
export class ChunkWriter {
  readonly #sink: ImageSink;
  readonly #signal: AbortSignal | undefined;
  readonly #gathered = new Uint8Array(GATHER_BYTES);
  #gatheredBytes = 0;
  #offset = 0;
  #sinceYield = 0;

  /**
   * @param sink takes the chunks
   * @param signal looked at whenever bytes are passed on
   */
  constructor(sink: ImageSink, signal?: AbortSignal) {
    this.#sink = sink;
    this.#signal = signal;
  }

  /** How many bytes were written so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Writes `chunk`, which may be used again once this has resolved. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#offset += chunk.length;
    if (chunk.length >= DIRECT_BYTES) {
      await this.flush();
      for (let done = 0; done < chunk.length; done += MOST_BYTES) {
        await this.#pass(chunk.subarray(done, done + MOST_BYTES));
      }
      return;
    }
    let rest = chunk;
    while (rest.length > 0) {
      const room = GATHER_BYTES - this.#gatheredBytes;
      const piece = rest.length <= room ? rest : rest.subarray(0, room);
      this.#gathered.set(piece, this.#gatheredBytes);
      this.#gatheredBytes += piece.length;
      if (this.#gatheredBytes === GATHER_BYTES) await this.flush();
      rest = rest.subarray(piece.length);
    }
  }

  /** Writes as many zeros as it takes to get to a multiple of `unit`. */
  async pad(unit: number): Promise<void> {
    const over = this.#offset % unit;
    if (over > 0) await this.write(new Uint8Array(unit - over));
  }

  /** Passes on what was gathered. */
  async flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return;
    await this.#pass(this.#gathered.subarray(0, this.#gatheredBytes));
    this.#gatheredBytes = 0;
  }

  async #pass(chunk: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    const done = this.#sink.write(chunk);
    if (done !== undefined) await done;
    this.#sinceYield += chunk.length;
    if (this.#sinceYield >= YIELD_BYTES) {
      this.#sinceYield = 0;
      await yieldToEventLoop();
      this.#signal?.throwIfAborted();
    }
  }
}
