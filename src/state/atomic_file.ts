/**
 * Writing a file as a whole: after a crash the old one is there or the new one,
 * never half.
 *
 * @module
 */

import { basename, dirname, join, parse } from "node:path";
import { cannotWrite, FileSink } from "./image_sink.ts";
import type { ImageTarget } from "./transports/image_end.ts";

/** How to replace a file. */
export interface AtomicFileOptions {
  /**
   * Whether {@linkcode AtomicFile.commit} waits until the disk has the bytes.
   * Without, a crash of the host (not of the process) can leave an empty or
   * half file. Default: true.
   */
  readonly durable?: boolean;
  /**
   * Whether it may take the place of a file that is there. Without, it gets a
   * name beside that one, such as `vm-2.img`. Default: true.
   */
  readonly replaces?: boolean;
}

/**
 * A file that takes the place of another when it is complete.
 *
 * It has a temporary name in the same folder until then, and is removed unless
 * it was committed. Only its owner may read it: an image holds all that a
 * program had in its memory.
 */
export class AtomicFile implements ImageTarget, Disposable {
  /** The name that it has until then. */
  readonly temporaryPath: string;
  readonly #file: Deno.FsFile;
  readonly #sink: FileSink;
  /** How errors call it: its path, quoted. */
  readonly name: string;
  readonly #durable: boolean;
  readonly #replaces: boolean;
  #path: string;
  #state: "writing" | "closed" | "done" = "writing";

  /**
   * Creates the temporary file.
   *
   * @param path what to write or replace; it need not exist
   * @throws {ImageError} IMAGE_IO when the folder refuses it, or when `path`
   * is there and is not a regular file
   */
  constructor(path: string, options: AtomicFileOptions = {}) {
    this.name = JSON.stringify(path);
    this.#durable = options.durable ?? true;
    this.#replaces = options.replaces ?? true;
    this.#path = path;
    try {
      checkTarget(path);
      this.temporaryPath = join(
        dirname(path),
        // Short, so that a long name stays within what the folder allows.
        `.${basename(path).slice(0, 64)}.${crypto.randomUUID()}.tmp`,
      );
      this.#file = Deno.openSync(this.temporaryPath, {
        createNew: true,
        write: true,
        mode: 0o600,
      });
    } catch (cause) {
      throw cannotWrite(this.name, cause);
    }
    this.#sink = new FileSink(this.#file, this.name);
  }

  /** The file that it becomes: once it was committed, the one that it became. */
  get path(): string {
    return this.#path;
  }

  /**
   * Writes all of `chunk`.
   *
   * @throws {ImageError} IMAGE_IO when the file does not take it
   */
  write(chunk: Uint8Array): void {
    this.#sink.write(chunk);
  }

  /**
   * Puts the file in the place of the old one.
   *
   * @throws {ImageError} IMAGE_IO; the old file is then still there, unless
   * only the folder could not be synchronized
   */
  async commit(): Promise<void> {
    try {
      // The bytes first: a name that is on the disk before them would stand
      // for an empty file after a crash.
      if (this.#durable) await this.#file.sync();
      this.#close();
      if (this.#replaces) await Deno.rename(this.temporaryPath, this.#path);
      else this.#path = await renameBeside(this.temporaryPath, this.#path);
      this.#state = "done";
      if (this.#durable) await syncFolder(dirname(this.#path));
    } catch (cause) {
      throw cannotWrite(this.name, cause);
    }
  }

  /** Removes the file, unless it was committed. */
  [Symbol.dispose](): void {
    this.#close();
    if (this.#state === "done") return;
    this.#state = "done";
    try {
      Deno.removeSync(this.temporaryPath);
    } catch (error) {
      // Gone already is as good; anything else must not hide why we are here.
      if (!(error instanceof Deno.errors.NotFound)) {
        console.error(`Cannot remove ${this.temporaryPath}: ${error}`);
      }
    }
  }

  /** Removes the file, unless it was committed. */
  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }

  #close(): void {
    if (this.#state !== "writing") return;
    this.#state = "closed";
    this.#file.close();
  }
}

/**
 * Refuses what must not be replaced: renaming over a device or a pipe would
 * take it away. A link is replaced itself, wherever it leads: who may rename
 * files in this folder does not choose what is written elsewhere.
 */
function checkTarget(path: string): void {
  if (path === "") throw new Error("the path is empty");
  try {
    const { isFile, isSymlink } = Deno.lstatSync(path);
    if (isFile || isSymlink) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Error("it is not a regular file");
}

/**
 * Renames to `path`, or to the next name beside it that nobody has: an empty
 * file takes the name first.
 */
async function renameBeside(from: string, path: string): Promise<string> {
  const { name, ext } = parse(path);
  for (let n = 2, free = path;; n++) {
    try {
      const options = { createNew: true, write: true, mode: 0o600 };
      (await Deno.open(free, options)).close();
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      free = join(dirname(path), `${name}-${n}${ext}`);
      continue;
    }
    try {
      await Deno.rename(from, free);
      return free;
    } catch (error) {
      await Deno.remove(free);
      throw error;
    }
  }
}

/** Some file systems have no such thing for folders; some may not be read. */
const UNSYNCED: readonly (string | undefined)[] = [
  "EINVAL",
  "ENOTSUP",
  "ENOSYS",
  "EACCES",
];

/** Waits until the disk has the folder's names. */
async function syncFolder(path: string): Promise<void> {
  try {
    using folder = await Deno.open(path, { read: true });
    await folder.sync();
  } catch (error) {
    const { code } = error as { code?: string };
    if (!UNSYNCED.includes(code)) throw error;
  }
}
