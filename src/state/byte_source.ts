/**
 * Where the bytes of an image come from.
 *
 * @module
 */

import { ImageError, reasonOf } from "./errors.ts";
import { StageError } from "./stages/errors.ts";
import { TransportError } from "./transports/errors.ts";

/** Bytes, front to back. */
export interface ByteSource {
  /** How errors call the image. */
  readonly name: string;
  /** How many bytes are left; absent when only the end will tell. */
  readonly remainingBytes?: number;
  /** Fills `target`, and says how much; less than all only at the end. */
  fill(target: Uint8Array): number | Promise<number>;
  /**
   * Passes over `count` bytes, and says over how many there were. Absent when
   * passing over bytes is not cheaper than reading them.
   */
  skip?(count: number): number;
}

/** How much a {@linkcode FileSource} reads at once: a header, and a payload. */
const READ_BYTES = 16 * 1024;

/** An open file, from its start. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly #file: Deno.FsFile;
  readonly #sizeBytes: number;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** What of the file the buffer holds. */
  #start = 0;
  #end = 0;
  #offset = 0;

  /**
   * @param file an open file; stays the caller's
   * @param sizeBytes how long it is
   * @param name how errors call it
   */
  constructor(file: Deno.FsFile, sizeBytes: number, name: string) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.name = name;
  }

  /** How many bytes are left. */
  get remainingBytes(): number {
    return Math.max(0, this.#sizeBytes - this.#offset);
  }

  /** @throws {ImageError} IMAGE_IO when the file cannot be read */
  fill(target: Uint8Array): number {
    let done = 0;
    while (done < target.length) {
      if (this.#offset < this.#start || this.#offset >= this.#end) {
        this.#start = this.#offset;
        this.#end = this.#offset + readAt(
          this.#file,
          this.#offset,
          this.#buffer,
          this.name,
        );
        if (this.#end === this.#start) break;
      }
      const from = this.#offset - this.#start;
      const count = Math.min(this.#end - this.#offset, target.length - done);
      target.set(this.#buffer.subarray(from, from + count), done);
      this.#offset += count;
      done += count;
    }
    return done;
  }

  /** Passes over `count` bytes, or those there are. */
  skip(count: number): number {
    const passed = Math.min(count, this.remainingBytes);
    this.#offset += passed;
    return passed;
  }
}

/**
 * Fills `target` from `offset` of a file, and says how much of it there was.
 *
 * @throws {ImageError} IMAGE_IO when the file cannot be read
 */
export function readAt(
  file: Deno.FsFile,
  offset: number,
  target: Uint8Array,
  name: string,
): number {
  let done = 0;
  try {
    file.seekSync(offset, Deno.SeekMode.Start);
    while (done < target.length) {
      const count = file.readSync(target.subarray(done));
      if (count === null) break;
      done += count;
    }
  } catch (cause) {
    throw cannotRead(name, cause);
  }
  return done;
}

/** A stream of bytes, such as a socket's or a pipe's. */
export class StreamSource implements ByteSource {
  readonly name: string;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #chunk: Uint8Array = new Uint8Array();

  /**
   * @param reader of the stream; stays the caller's
   * @param name how errors call it
   * @param signal looked at after every read
   */
  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    name: string,
    signal?: AbortSignal,
  ) {
    this.#reader = reader;
    this.#signal = signal;
    this.name = name;
  }

  /**
   * @throws {ImageError} IMAGE_IO when the stream fails; {StageError},
   * {TransportError} as a stage or an end threw them; the signal's reason
   */
  async fill(target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      if (this.#chunk.length === 0) {
        const chunk = await this.#next();
        if (chunk === undefined) break;
        this.#chunk = chunk;
      }
      const count = Math.min(this.#chunk.length, target.length - done);
      target.set(this.#chunk.subarray(0, count), done);
      this.#chunk = this.#chunk.subarray(count);
      done += count;
    }
    return done;
  }

  async #next(): Promise<Uint8Array | undefined> {
    let result: ReadableStreamReadResult<Uint8Array>;
    try {
      result = await this.#reader.read();
    } catch (cause) {
      this.#signal?.throwIfAborted();
      // What a stage or an end found says more: a wrong passphrase, say.
      const isSaid = cause instanceof StageError ||
        cause instanceof TransportError;
      throw isSaid ? cause : cannotRead(this.name, cause);
    }
    // A stream that was cancelled ends as if it were complete.
    this.#signal?.throwIfAborted();
    return result.done ? undefined : result.value;
  }
}

/** The error of an image that cannot be read from `name`. */
export function cannotRead(name: string, cause: unknown): ImageError {
  return new ImageError(
    "IMAGE_IO",
    `Cannot read ${name}: ${reasonOf(cause)}`,
    { cause },
  );
}
