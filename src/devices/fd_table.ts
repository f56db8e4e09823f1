/**
 * The program's descriptors: numbers of the VM's own, never the host's.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { ProcessLocks } from "./file_locks.ts";
import type { OpenFile } from "./open_file.ts";

/** Most descriptors a program may have (RLIMIT_NOFILE). */
export const MAX_DESCRIPTORS = 1024;

/** A descriptor. */
export interface Descriptor {
  /** What it points to. */
  readonly file: OpenFile;
  /** Whether execve would close it. */
  closeOnExec: boolean;
}

/** Descriptors by number, the lowest free one first. */
export class FdTable {
  /** The process's record locks. */
  readonly locks = new ProcessLocks();
  readonly #slots: (Descriptor | undefined)[] = [];
  readonly #held = new Map<number, OpenFile>();

  /** The descriptor numbered `fd`. */
  get(fd: number): Descriptor | undefined {
    return this.#slots[fd];
  }

  /** The file behind `fd`. */
  file(fd: number): OpenFile | undefined {
    return this.#slots[fd]?.file;
  }

  /** Whether a number below `limit` is free. */
  hasFree(limit: number): boolean {
    return this.#lowestFree(0, limit) >= 0;
  }

  /** The lowest free number from `minimum` on; -1 when all are in use. */
  #lowestFree(minimum: number, limit: number): number {
    const end = Math.min(limit, MAX_DESCRIPTORS);
    for (let fd = minimum; fd < end; fd++) {
      if (!this.#slots[fd]) return fd;
    }
    return -1;
  }

  /**
   * Points the lowest free descriptor, from `minimum` on and below `limit`, at
   * `file`.
   *
   * @returns its number, or -EMFILE (then `file`, if nothing else points to
   * it, is closed)
   */
  install(
    file: OpenFile,
    closeOnExec: boolean,
    { minimum = 0, limit = MAX_DESCRIPTORS } = {},
  ): number {
    const fd = this.#lowestFree(minimum, limit);
    if (fd < 0) {
      if (file.references === 0) file.close();
      return -ERRNO.EMFILE;
    }
    this.installAt(fd, file, closeOnExec);
    return fd;
  }

  /** Points `fd` at `file`, closing what was there. */
  installAt(fd: number, file: OpenFile, closeOnExec: boolean): void {
    file.references++;
    this.close(fd);
    this.#slots[fd] = { file, closeOnExec };
  }

  /** Closes `fd`; -EBADF when it is not open. */
  close(fd: number): number {
    const slot = this.#slots[fd];
    if (!slot) return -ERRNO.EBADF;
    this.#slots[fd] = undefined;
    this.locks.closed(slot.file);
    if (--slot.file.references === 0) slot.file.release();
    return 0;
  }

  /** Every open descriptor, in order of number. */
  *entries(): Generator<[fd: number, descriptor: Descriptor]> {
    for (let fd = 0; fd < this.#slots.length; fd++) {
      const slot = this.#slots[fd];
      if (slot) yield [fd, slot];
    }
  }

  /** Every open file once, in order of its lowest descriptor; then those held. */
  files(): OpenFile[] {
    const open = this.#slots.flatMap((s) => s ? [s.file] : []);
    return [...new Set([...open, ...this.#held.values()])];
  }

  /** Keeps a file open that is mapped at `gpa`, whatever descriptors there are. */
  hold(gpa: number, file: OpenFile): void {
    file.references++;
    this.#held.set(gpa, file);
  }

  /** The file that is held for what is mapped at `gpa`. */
  heldFile(gpa: number): OpenFile | undefined {
    return this.#held.get(gpa);
  }

  /** Gives up the file that is held for `gpa`. */
  drop(gpa: number): void {
    const file = this.#held.get(gpa);
    if (!file) return;
    this.#held.delete(gpa);
    if (--file.references === 0) file.release();
  }

  /** Every file that is held, by the gpa it is mapped at. */
  held(): [gpa: number, file: OpenFile][] {
    return [...this.#held];
  }

  /** Closes everything. */
  closeAll(): void {
    for (const [fd] of this.entries()) this.close(fd);
    for (const [gpa] of this.held()) this.drop(gpa);
  }
}
