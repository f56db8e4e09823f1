/**
 * Bulk data that came in a stream and is wanted later: kept on disk, since
 * there may be more of it than memory.
 *
 * @module
 */

import { cannotRead, readAt } from "./byte_source.ts";
import { cannotWrite, FileSink } from "./image_sink.ts";

/** A temporary file without a name, made when there is something to keep. */
export class Spool implements Disposable {
  readonly #kept = new Map<number, { offset: number; lengthBytes: number }>();
  #file: Deno.FsFile | undefined;
  #sink: FileSink | undefined;
  #end = 0;

  /**
   * Keeps `data` under a number; no data costs nothing.
   *
   * @throws {ImageError} IMAGE_IO when the host has no room for it
   */
  put(key: number, data: Uint8Array): void {
    if (data.length === 0) return;
    this.#sink ??= new FileSink(this.#create(), "a temporary file");
    this.#file!.seekSync(this.#end, Deno.SeekMode.Start);
    this.#sink.write(data);
    this.#kept.set(key, { offset: this.#end, lengthBytes: data.length });
    this.#end += data.length;
  }

  /**
   * What is kept under a number; empty when nothing is.
   *
   * @throws {ImageError} IMAGE_IO when it cannot be read
   */
  take(key: number): Uint8Array {
    const kept = this.#kept.get(key);
    if (!kept || !this.#file) return new Uint8Array();
    const data = new Uint8Array(kept.lengthBytes);
    const name = "a temporary file";
    if (readAt(this.#file, kept.offset, data, name) < data.length) {
      throw cannotRead(name, new Error("it became shorter"));
    }
    return data;
  }

  #create(): Deno.FsFile {
    try {
      const path = Deno.makeTempFileSync();
      try {
        this.#file = Deno.openSync(path, { read: true, write: true });
      } finally {
        // Whatever becomes of this process, nothing is left behind.
        Deno.removeSync(path);
      }
      return this.#file;
    } catch (cause) {
      throw cannotWrite("a temporary file", cause);
    }
  }

  /** Gives the disk its room back. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
    this.#kept.clear();
  }
}
