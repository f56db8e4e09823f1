/**
 * A stream of node:zlib, driven by a stage.
 *
 * @module
 */

import type { Transform } from "node:stream";
import { yieldToEventLoop } from "../chunk_writer.ts";
import { StageError } from "./errors.ts";
import { type Emit, makeStage, type Stage } from "./stage.ts";

/** How much goes in at once. */
const WRITE_BYTES = 1024 * 1024;

/** How much comes out at once, but for the last. */
export const OUTPUT_BYTES: number = 256 * 1024;

/** How much comes out before the event loop gets a turn. */
const YIELD_BYTES = 1024 * 1024;

/** What of a stream of node:zlib is used. */
export type ZlibStream = Transform & { readonly bytesWritten: number };

/**
 * Feeds a stream of node:zlib, and hands on what comes out of it, with
 * backpressure: nothing is read ahead but one buffer.
 */
export class ZlibEngine {
  readonly #stream: ZlibStream;
  readonly #emit: Emit;
  /**
   * What goes in next. node:zlib holds on to what it was given until a full
   * collection, and V8 puts that off the longer the more memory a VM has.
   */
  readonly #input = new Uint8Array(WRITE_BYTES);
  /** Resolves when all came out, or never will; does not reject. */
  readonly #pumped: Promise<void>;
  #over = false;
  #failure: { readonly error: unknown } | undefined;
  /** Ends the wait of the write that is under way. */
  #settle: (() => void) | undefined;

  /**
   * @param stream made with a `chunkSize` of OUTPUT_BYTES; owned from now on
   * @param emit takes what comes out
   */
  constructor(stream: ZlibStream, emit: Emit) {
    this.#stream = stream;
    this.#emit = emit;
    this.#pumped = this.#pump().catch((error) => {
      this.#failure ??= { error };
    }).finally(() => {
      this.#over = true;
      this.#settle?.();
    });
  }

  /** How many bytes it took in. */
  get takenBytes(): number {
    return this.#stream.bytesWritten;
  }

  /**
   * Feeds it, and resolves when it is done with `chunk`.
   *
   * @throws what the stream or `emit` failed with
   */
  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; done += WRITE_BYTES) {
      const given = chunk.subarray(done, done + WRITE_BYTES);
      const piece = this.#input.subarray(0, given.length);
      piece.set(given);
      await this.#feed(piece);
      // node:zlib works in this thread.
      if (piece.length === WRITE_BYTES) await yieldToEventLoop();
    }
  }

  #feed(piece: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = () => {
        this.#settle = undefined;
        if (this.#failure) reject(this.#failure.error);
        else resolve();
      };
      // The callback does not come when the stream fails, or ends early.
      if (this.#over) this.#settle();
      else this.#stream.write(piece, () => this.#settle?.());
    });
  }

  /**
   * There is no more: resolves when all came out.
   *
   * @throws what the stream or `emit` failed with
   */
  async end(): Promise<void> {
    if (!this.#over) this.#stream.end();
    await this.#pumped;
    if (this.#failure) throw this.#failure.error;
  }

  /** Lets all go at once. What waits in a write fails. */
  destroy(reason: unknown): void {
    this.#failure ??= { error: reason };
    this.#stream.destroy();
    this.#settle?.();
  }

  async #pump(): Promise<void> {
    let held: Uint8Array | undefined;
    let sinceYield = 0;
    for await (const piece of this.#stream) {
      // zlib fills one buffer after another, in pieces: join, do not copy.
      if (held && follows(held, piece)) {
        held = view(held, held.length + piece.length);
      } else {
        if (held) await this.#emit(held);
        held = view(piece, piece.length);
      }
      if (held.byteOffset + held.length === held.buffer.byteLength) {
        await this.#emit(held);
        sinceYield += held.length;
        held = undefined;
      }
      if (sinceYield >= YIELD_BYTES) {
        sinceYield = 0;
        await yieldToEventLoop();
      }
    }
    if (held) await this.#emit(held);
  }
}

/** Whether `after` lies right behind `before` in memory. */
function follows(before: Uint8Array, after: Uint8Array): boolean {
  return before.buffer === after.buffer &&
    before.byteOffset + before.length === after.byteOffset;
}

/** `length` bytes from where `bytes` begins, as no Buffer. */
function view(bytes: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
}

/**
 * `emit`, which fails when more comes out than is allowed: a few bytes can
 * become very many.
 *
 * @param stage how errors call the stage
 * @param maxOutputBytes how many are allowed
 */
export function limitOutput(
  emit: Emit,
  stage: string,
  maxOutputBytes: number,
): Emit {
  if (!(maxOutputBytes >= 0)) {
    throw new RangeError(
      `Cannot decompress: maxOutputBytes must be at least 0, and is ${maxOutputBytes}`,
    );
  }
  let bytes = 0;
  return (chunk) => {
    bytes += chunk.length;
    if (bytes > maxOutputBytes) {
      throw new StageError(
        "STAGE_LIMIT",
        `Cannot decompress: it becomes more than ${maxOutputBytes} bytes`,
        { stage },
      );
    }
    return emit(chunk);
  };
}

/**
 * A stage that is a stream of node:zlib and nothing else.
 *
 * @param makeStream makes it, as {@linkcode ZlibEngine} wants it
 */
export function zlibStage(makeStream: () => ZlibStream): Stage {
  return makeStage((emit) => {
    const engine = new ZlibEngine(makeStream(), emit);
    return {
      write: (chunk) => engine.write(chunk),
      close: () => engine.end(),
      fail: (reason) => engine.destroy(reason),
    };
  }, { chunksAhead: 1 });
}
