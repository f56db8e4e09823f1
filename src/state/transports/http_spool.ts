/**
 * An image whose length is not known, on its way to an HTTP server: it waits
 * in a file until it is.
 *
 * @module
 */

import { readAt } from "../byte_source.ts";
import { FileSink } from "../image_sink.ts";
import { endError, TransportError } from "./errors.ts";
import { HttpPutTarget } from "./http_put.ts";
import type { EndOptions, ImageTarget } from "./image_end.ts";

/** How much is sent at once. */
const PIECE_BYTES = 1024 * 1024;

/** How errors call the file, which has no name. */
const SPOOL = "the temporary file";

/** Writes to a file without a name, and puts that when it is complete. */
export class HttpSpoolTarget implements ImageTarget {
  /** How errors call it. */
  readonly name: string;
  readonly #url: URL;
  readonly #options: EndOptions;
  readonly #file: Deno.FsFile;
  readonly #sink: FileSink;
  #lengthBytes = 0;
  #isOpen = true;

  /**
   * @param url where it goes
   * @param name how errors call that
   * @throws {TransportError} END_IO; the signal's reason
   */
  constructor(url: URL, name: string, options: EndOptions) {
    options.signal?.throwIfAborted();
    this.name = name;
    this.#url = url;
    this.#options = options;
    try {
      const path = Deno.makeTempFileSync({ prefix: "image-" });
      try {
        this.#file = Deno.openSync(path, { read: true, write: true });
      } finally {
        // It goes when it is closed, even if the process is killed.
        Deno.removeSync(path);
      }
    } catch (cause) {
      throw endError(name, "write", cause);
    }
    this.#sink = new FileSink(this.#file, SPOOL);
  }

  /** Writes `chunk` to the file. */
  write(chunk: Uint8Array): void {
    this.#check();
    try {
      this.#sink.write(chunk);
    } catch (cause) {
      throw this.#spoolError(cause);
    }
    this.#lengthBytes += chunk.length;
  }

  /** Puts the file, and waits for the server to say that it has all. */
  async commit(): Promise<void> {
    this.#check();
    try {
      const lengthBytes = this.#lengthBytes;
      await using target = await HttpPutTarget.open(this.#url, this.name, {
        ...this.#options,
        lengthBytes,
      });
      const buffer = new Uint8Array(Math.min(PIECE_BYTES, lengthBytes));
      for (let done = 0; done < lengthBytes;) {
        const piece = this.#read(done, buffer);
        await target.write(piece);
        done += piece.length;
      }
      await target.commit();
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** Closes the file, which is gone then. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) this.#file.close();
    this.#isOpen = false;
    return Promise.resolve();
  }

  #read(offset: number, buffer: Uint8Array): Uint8Array {
    try {
      const count = readAt(this.#file, offset, buffer, SPOOL);
      if (count === 0) throw new Error(`${SPOOL} was truncated`);
      return buffer.subarray(0, count);
    } catch (cause) {
      throw this.#spoolError(cause);
    }
  }

  #spoolError(cause: unknown): TransportError {
    const { message } = endError(this.name, "write", cause);
    return new TransportError("END_IO", message, {
      end: this.name,
      hint: "give lengthBytes, which needs no temporary file, or set TMPDIR",
      cause,
    });
  }

  #check(): void {
    this.#options.signal?.throwIfAborted();
    if (!this.#isOpen) {
      throw endError(this.name, "write", new Error("it is closed"));
    }
  }
}
