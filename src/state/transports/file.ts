/**
 * Files as ends.
 *
 * @module
 */

import { AtomicFile } from "../atomic_file.ts";
import { ImageError, reasonOf } from "../errors.ts";
import { endError, TransportError } from "./errors.ts";
import type { EndOptions, ImageTarget } from "./image_end.ts";
import type { Reading } from "./link_origin.ts";

/** How much is read at once. */
const READ_BYTES = 1024 * 1024;

/** A file that is replaced as a whole when the image is complete. */
export class FileTarget implements ImageTarget {
  /** How errors call it. */
  readonly name: string;
  readonly #file: AtomicFile;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param path what to replace; it need not exist
   * @param options `durable` and `signal`
   * @throws {TransportError} END_IO when the folder refuses it, or when `path`
   * is there and is not a regular file
   */
  constructor(path: string, { signal, durable }: EndOptions) {
    signal?.throwIfAborted();
    this.name = JSON.stringify(path);
    this.#signal = signal;
    this.#file = asTransport(
      this.name,
      () => new AtomicFile(path, { durable }),
    );
  }

  /** Writes `chunk` to the temporary file. */
  write(chunk: Uint8Array): void {
    this.#signal?.throwIfAborted();
    asTransport(this.name, () => this.#file.write(chunk));
  }

  /** Puts the file in the place of the old one. */
  async commit(): Promise<void> {
    this.#signal?.throwIfAborted();
    try {
      await this.#file.commit();
    } catch (error) {
      throw converted(this.name, error);
    }
  }

  /** Removes the temporary file, unless it was committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

function asTransport<T>(name: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw converted(name, error);
  }
}

/** The same failure, as ends tell of it. */
function converted(end: string, error: unknown): unknown {
  if (!(error instanceof ImageError)) return endError(end, "write", error);
  const { message, hint, cause } = error;
  return new TransportError("END_IO", message, { end, hint, cause });
}

/**
 * Opens a regular file for reading.
 *
 * @throws {TransportError} END_IO
 */
export async function fileReading(path: string): Promise<Reading> {
  const name = JSON.stringify(path);
  let file: Deno.FsFile | undefined;
  try {
    // Looked at first: opening a pipe would wait for a writer.
    if (!(await Deno.stat(path)).isFile) {
      throw new Error("it is not a regular file");
    }
    file = await Deno.open(path, { read: true });
    return new FileReading(file);
  } catch (cause) {
    file?.close();
    throw new TransportError(
      "END_IO",
      `Cannot read ${name}: ${reasonOf(cause)}`,
      {
        end: name,
        cause,
      },
    );
  }
}

class FileReading implements Reading {
  readonly #file: Deno.FsFile;
  #isClosed = false;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  async read(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(READ_BYTES);
    const count = await this.#file.read(buffer);
    return count === null ? undefined : buffer.subarray(0, count);
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#file.close();
    this.#isClosed = true;
    return Promise.resolve();
  }
}
