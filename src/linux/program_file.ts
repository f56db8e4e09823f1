/**
 * The file of a program, of its interpreter, or of a script.
 *
 * @module
 */

import { type SourceFile, sourceOf } from "./area_source.ts";
import {
  close,
  fstat,
  type IoVector,
  O,
  pathOf,
  pread,
  preadv,
  S_IF,
} from "../devices/mod.ts";
import { ERRNO, errnoName } from "../kvm/mod.ts";
import { ProgramError } from "./errors.ts";

/** Reasons for people, of what opening a program gives. */
const REASONS: Record<number, string> = {
  [ERRNO.ENOENT]: "there is no such file",
  [ERRNO.ENOTDIR]: "there is no such file",
  [ERRNO.EACCES]: "permission denied",
  [ERRNO.ELOOP]: "its path has too many symbolic links",
};

/** A path that another file gave, for a message. */
export function shown(path: string): string {
  // What is not printable could do things to the terminal that shows it.
  return path.replace(/[^\x20-\x7e]/g, "?");
}

/** What opens the files of programs: a root, or what a program may reach. */
export interface ProgramOpener {
  /**
   * Opens a file.
   *
   * @param path from the root, a character a byte
   * @param flags O_* flags
   * @returns a descriptor of the host, or a negative errno
   */
  open(path: string, flags: number): number;
  /** The path of what is open at a descriptor, if it has one. */
  nameOf(fd: number): string | undefined;
}

/** A file that is loaded, held open. */
export class ProgramFile implements Disposable {
  /** Its path, as text. */
  readonly path: string;
  /** How long it is. */
  readonly sizeBytes: number;
  /** What its pages are of, once they are mapped. */
  readonly source: SourceFile | undefined;
  readonly #fd: number;

  /**
   * Opens it.
   *
   * @param cwd where a relative path begins, a character a byte
   * @throws {ProgramError} when there is none
   */
  constructor(root: ProgramOpener, path: string, cwd: string) {
    this.path = path;
    const full = path.startsWith("/") ? pathOf(path) : `${cwd}/${pathOf(path)}`;
    // Neither a pipe nor a device makes it wait.
    const fd = path === "" ? -ERRNO.ENOENT : root.open(full, O.readOnly);
    if (fd < 0) {
      throw new ProgramError(
        "PROGRAM_NOT_FOUND",
        `Cannot run ${path}: ${REASONS[-fd] ?? errnoName(-fd)}`,
        { errno: -fd },
      );
    }
    const stat = new DataView(new ArrayBuffer(144));
    fstat(fd, new Uint8Array(stat.buffer));
    if ((stat.getUint32(24, true) & S_IF.mask) !== S_IF.regular) {
      close(fd);
      throw new ProgramError(
        "PROGRAM_NOT_ELF",
        `Cannot run ${path}: it is not a file`,
        { errno: ERRNO.EACCES },
      );
    }
    this.#fd = fd;
    this.source = sourceOf(fd, root.nameOf(fd));
    this.sizeBytes = Number(stat.getBigInt64(48, true));
  }

  #cutOff(): ProgramError {
    return new ProgramError(
      "PROGRAM_CORRUPT",
      `Cannot run ${this.path}: it became shorter while it was read`,
    );
  }

  /** Reads a part of it. @throws {ProgramError} when it is not there */
  read(offset: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(lengthBytes);
    for (let done = 0; done < lengthBytes;) {
      const n = pread(this.#fd, bytes.subarray(done), offset + done);
      if (n <= 0) throw this.#cutOff();
      done += n;
    }
    return bytes;
  }

  /**
   * Reads a part of it into guest memory, or the beginning of that.
   *
   * @returns how much, bytes
   * @throws {ProgramError} when nothing is there
   */
  readInto(io: IoVector, offset: number): number {
    const n = preadv(this.#fd, io, offset);
    if (n <= 0) throw this.#cutOff();
    return n;
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    close(this.#fd);
  }
}
