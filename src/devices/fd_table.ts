/**
 * The program's descriptors: numbers of the VM's own, never the host's.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { ProcessLocks } from "./file_locks.ts";
import type { OpenFile } from "./open_file.ts";
import { SocketSpace } from "./socket_space.ts";

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
  /** What the process's sockets share. */
  readonly sockets: SocketSpace;
  readonly #slots: (Descriptor | undefined)[] = [];
  readonly #held = new Map<number, OpenFile>();
  /** Files that calls go on with, by task, then by descriptor. */
  readonly #kept = new Map<number, Map<number, OpenFile>>();
  /** Of those, the files of the task whose call is tried again. */
  #seen: Map<number, OpenFile> | undefined;
  /** Told of a descriptor before it is closed. */
  onClose: ((fd: number) => void) | undefined;

  /** @param sockets what sockets share that are to be in it */
  constructor(sockets: SocketSpace = new SocketSpace()) {
    this.sockets = sockets;
  }

  /** The descriptor numbered `fd`. */
  get(fd: number): Descriptor | undefined {
    return this.#slots[fd];
  }

  /** The file behind `fd`. */
  file(fd: number): OpenFile | undefined {
    return this.#seen?.get(fd) ?? this.#slots[fd]?.file;
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
    this.onClose?.(fd);
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

  /**
   * Every open file once, in order of its lowest descriptor; then those held
   * for mappings, and for calls.
   */
  files(): OpenFile[] {
    const open = this.#slots.flatMap((s) => s ? [s.file] : []);
    const kept = [...this.#kept.values()].flatMap((own) => [...own.values()]);
    return [...new Set([...open, ...this.#held.values(), ...kept])];
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

  /**
   * Has a task's call, which waits, go on with the file behind `fd` when that is
   * closed.
   */
  keep(tid: number, fd: number, file = this.#slots[fd]?.file): void {
    let own = this.#kept.get(tid);
    if (!file || own?.has(fd)) return;
    if (!own) this.#kept.set(tid, own = new Map());
    file.references++;
    own.set(fd, file);
  }

  /** Shows descriptors as a task's call has them; absent: as they are. */
  showTo(tid?: number): void {
    this.#seen = tid === undefined ? undefined : this.#kept.get(tid);
  }

  /** A task's call has ended: nothing is kept for it. */
  letGo(tid: number): void {
    const own = this.#kept.get(tid);
    if (!own) return;
    this.#kept.delete(tid);
    if (this.#seen === own) this.#seen = undefined;
    for (const file of own.values()) {
      if (--file.references === 0) file.release();
    }
  }

  /** A task's call was interrupted, or the task has ended: its files know it. */
  giveUp(tid: number, hasEnded = false): void {
    for (const file of this.files()) file.giveUp(tid, hasEnded);
  }

  /** Every file that is kept for a call. */
  kept(): { tid: number; fd: number; file: OpenFile }[] {
    return [...this.#kept].flatMap(([tid, own]) =>
      [...own].map(([fd, file]) => ({ tid, fd, file }))
    );
  }

  /** Closes everything. */
  closeAll(): void {
    for (const [fd] of this.entries()) this.close(fd);
    for (const [gpa] of this.held()) this.drop(gpa);
    for (const tid of [...this.#kept.keys()]) this.letGo(tid);
  }
}
