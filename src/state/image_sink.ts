/**
 * Where an image is written to.
 *
 * @module
 */

import { ImageError, reasonOf } from "./errors.ts";

/**
 * Takes the bytes of an image, front to back.
 *
 * A chunk may be a view of guest memory or of a buffer that is used again: the
 * sink must be done with it when `write` returns, or when what it returns
 * resolves.
 */
export interface ImageSink {
  /** Takes all of `chunk`, or throws. */
  write(chunk: Uint8Array): void | Promise<void>;
}

/** What of a Deno.FsFile {@linkcode FileSink} needs. */
export interface SyncWriter {
  /** Writes some of `bytes`, and says how many. */
  writeSync(bytes: Uint8Array): number;
}

/** Writes to an open file, or to anything else that has `writeSync`. */
export class FileSink implements ImageSink {
  readonly #file: SyncWriter;
  readonly #name: string;

  /**
   * Makes a sink.
   *
   * @param file what to write to; stays the caller's to close
   * @param name how errors call it, such as `"vm.img"` with its quotes
   */
  constructor(file: SyncWriter, name: string) {
    this.#file = file;
    this.#name = name;
  }

  /**
   * Writes all of `chunk`.
   *
   * @throws {ImageError} IMAGE_IO when the file does not take it
   */
  write(chunk: Uint8Array): void {
    let done = 0;
    while (done < chunk.length) {
      let count: number;
      try {
        // Views, not copies: a copy of memory would cost as much as the write.
        count = this.#file.writeSync(
          done === 0 ? chunk : chunk.subarray(done),
        );
      } catch (cause) {
        throw cannotWrite(this.#name, cause);
      }
      if (count <= 0) {
        throw cannotWrite(this.#name, new Error("it takes no more bytes"));
      }
      done += count;
    }
  }
}

/**
 * Writes to a stream whose `write` resolves when the chunk was used, as those
 * of Deno's files, sockets and processes do. (A TransformStream's does not: it
 * resolves when the chunk was passed on.)
 *
 * @param writer of the stream; closing it stays the caller's
 * @param name how errors call it
 */
export function streamSink(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  name = "the stream",
): ImageSink {
  return {
    async write(chunk: Uint8Array): Promise<void> {
      try {
        await writer.write(chunk);
      } catch (cause) {
        throw cannotWrite(name, cause);
      }
    },
  };
}

/** The error of an image that cannot be written to `name`. */
export function cannotWrite(name: string, cause: unknown): ImageError {
  const reason = reasonOf(cause);
  return new ImageError("IMAGE_IO", `Cannot write ${name}: ${reason}`, {
    cause,
    hint: /os error 28\b/.test(reason)
      ? "make room, or save to another disk"
      : undefined,
  });
}
