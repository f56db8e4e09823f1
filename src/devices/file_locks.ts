/**
 * Locks on host files. They are the host's: whoever else uses the files sees
 * them. Each is held by an open file of the host's, so that this process's other
 * VMs are others.
 *
 * @module
 */

import * as v from "valibot";
import { ERRNO, errnoName } from "../kvm/mod.ts";
import { count, u64 } from "../state/mod.ts";
import { FilesError } from "./errors.ts";
import { close, fstat, open } from "./host_calls.ts";
import { O } from "./host_constants.ts";
import { HostFile } from "./host_file.ts";
import { F_OFD, flock, FLOCK_BYTES, recordLock } from "./lock_calls.ts";
import type { OpenFile } from "./open_file.ts";
import { pathShown } from "./path_bytes.ts";
import { isForVmm } from "./reserved_fds.ts";
import { hostPathOf } from "./root_folder.ts";

/** Types of record locks (asm-generic/fcntl.h). */
export const F_LCK = { read: 0, write: 1, unlock: 2 } as const;

/** Operations of flock(2). */
const LOCK = { shared: 1, exclusive: 2, doNotWait: 4, unlock: 8 } as const;

/** Most record locks of a program; fcntl(2) answers ENOLCK beyond. */
export const MAX_RECORD_LOCKS = 8192;

/** Most locks of one image: flock(2)'s are one for each open file. */
export const MAX_LOCKS = 2 * MAX_RECORD_LOCKS;

/** A place in a file: 63 bits. */
const place = v.pipe(u64, v.maxValue(0x7fff_ffff_ffff_ffffn));

/** How a lock travels. */
export const lockState = v.object({
  /** Index into `files`. */
  file: count,
  /** Whose it is: flock(2)'s, the open file's, or the process's. */
  owner: v.picklist(["flock", "file", "process"]),
  isExclusive: v.boolean(),
  start: place,
  /** 0: to the end of the file, however long it becomes. */
  lengthBytes: place,
});

/** What an image says of a lock. */
export type LockState = v.InferOutput<typeof lockState>;

type HeldLock = Omit<LockState, "file">;

/** Locks that an open file of the host's holds (proc_pid_fdinfo(5)). */
function heldBy(fd: number, recordOwner: "file" | "process"): HeldLock[] {
  let info: string;
  try {
    info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  } catch {
    return [];
  }
  const line =
    /^lock:\s+\d+: (FLOCK|OFDLCK)\s+ADVISORY\s+(READ|WRITE)\s+\S+ \S+ (\d+) (\d+|EOF)$/gm;
  return [...info.matchAll(line)].map(([, type, access, first, last]) => ({
    owner: type === "FLOCK" ? "flock" : recordOwner,
    isExclusive: access === "WRITE",
    start: BigInt(first),
    lengthBytes: last === "EOF" ? 0n : BigInt(last) - BigInt(first) + 1n,
  }));
}

/** F_OFD_SETLK of `type`; 0 or a negative errno. */
function setRecord(
  fd: number,
  type: number,
  start: bigint,
  lengthBytes: bigint,
): number {
  const view = new DataView(new ArrayBuffer(FLOCK_BYTES));
  view.setInt16(0, type, true);
  view.setBigInt64(8, start, true);
  view.setBigInt64(16, lengthBytes, true);
  return recordLock(fd, F_OFD.set, new Uint8Array(view.buffer));
}

/** Takes a lock; 0 or a negative errno. */
function take(fd: number, lock: HeldLock): number {
  const { owner, isExclusive, start, lengthBytes } = lock;
  if (owner === "flock") {
    const operation = isExclusive ? LOCK.exclusive : LOCK.shared;
    return flock(fd, operation | LOCK.doNotWait);
  }
  const type = isExclusive ? F_LCK.write : F_LCK.read;
  return setRecord(fd, type, start, lengthBytes);
}

/** Device and inode of a host descriptor. */
function keyOf(fd: number): string {
  const stat = new DataView(new ArrayBuffer(144));
  if (fstat(fd, new Uint8Array(stat.buffer)) < 0) return "";
  return `${stat.getBigUint64(0, true)}:${stat.getBigUint64(8, true)}`;
}

/** Places in a file. */
type Range = Pick<HeldLock, "start" | "lengthBytes">;

/** Whether there is something of `outer` on both sides of `inner`. */
function isInside(inner: Range, outer: Range): boolean {
  const end = ({ start, lengthBytes }: Range) => start + lengthBytes;
  return inner.lengthBytes > 0n && inner.start > outer.start &&
    (outer.lengthBytes === 0n || end(inner) < end(outer));
}

/** What holds the process's locks on a file. */
interface Owner {
  readonly fd: number;
  /** Whether it can hold exclusive ones. */
  readonly isWritable: boolean;
}

/** Opens the file of a descriptor once more; a negative errno when it cannot. */
function openOwner(file: HostFile, modes: readonly number[]): number {
  let fd: number = -ERRNO.EBADF;
  for (const mode of modes) {
    const flags = mode | O.closeOnExec | O.nonBlock;
    fd = open(`/proc/self/fd/${file.hostFd}`, flags);
    if (fd >= 0) break;
  }
  if (!isForVmm(fd)) return fd;
  close(fd);
  return -ERRNO.EMFILE;
}

/**
 * The locks of a program that belong to its process (fcntl(2)'s F_SETLK): those
 * of one file are held by one open file of the VMM's own, whichever descriptor
 * they were asked for with.
 */
export class ProcessLocks {
  readonly #owners: Owner[] = [];
  /** What is held by nobody, so that another VMM can take it. */
  #lent: readonly LockState[] | undefined;
  /** How many record locks there are at most. */
  #recordsAtMost = 0;

  /** The descriptor that holds the process's locks on a file; or an errno. */
  ownerOf(file: HostFile): number {
    const isWritable = (file.flags & O.accessMode) !== O.readOnly;
    const there = this.#find(file);
    // What the program may only read is not opened for more: on an overlay
    // that would copy it, and nobody could execute it.
    if (there && (there.isWritable || !isWritable)) return there.fd;
    let fd = isWritable ? openOwner(file, [O.readWrite, O.writeOnly]) : -1;
    if (fd < 0 && there) return there.fd;
    const hasAll = fd >= 0;
    if (!hasAll) fd = openOwner(file, [O.readOnly]);
    if (fd < 0) return fd;
    if (there) {
      // It has shared ones: both can have them until it is closed.
      for (const lock of heldBy(there.fd, "process")) {
        const taken = take(fd, lock);
        if (taken >= 0) continue;
        close(fd);
        return taken;
      }
      this.#drop(there);
    }
    this.#owners.push({ fd, isWritable: hasAll });
    return fd;
  }

  /**
   * Whether a change of record locks would make too many of them: one that
   * takes a lock, or one that gives back the middle of one.
   *
   * @param files gives all of the program's
   * @param fd what holds the locks that change
   * @param range gives what is given back; absent: a lock is taken
   */
  isTooMany(
    files: () => readonly OpenFile[],
    fd: number,
    range?: () => Range,
  ): boolean {
    // One that is taken inside of another leaves two parts of that.
    this.#recordsAtMost += 2;
    if (this.#recordsAtMost <= MAX_RECORD_LOCKS) return false;
    const isRecord = ({ owner }: HeldLock) => owner !== "flock";
    this.#recordsAtMost = this.dump(files()).filter(isRecord).length + 2;
    if (this.#recordsAtMost <= MAX_RECORD_LOCKS) return false;
    const given = range?.();
    return !given ||
      heldBy(fd, "file").some((lock) =>
        isRecord(lock) && isInside(given, lock)
      );
  }

  /**
   * What holds the locks on a file. Looked for anew each time: on an overlay a
   * file becomes another inode when it is first opened for writing.
   */
  #find(file: HostFile): Owner | undefined {
    if (this.#owners.length === 0) return undefined;
    const key = keyOf(file.hostFd);
    return this.#owners.find(({ fd }) => keyOf(fd) === key);
  }

  #drop(owner: Owner): void {
    this.#owners.splice(this.#owners.indexOf(owner), 1);
    close(owner.fd);
  }

  /** A descriptor of the program's was closed: its file's locks are gone. */
  closed(file: OpenFile): void {
    if (!(file instanceof HostFile)) return;
    const owner = this.#find(file);
    if (owner) this.#drop(owner);
  }

  /** All locks of a program's open files, those that are lent too. */
  dump(files: readonly OpenFile[]): LockState[] {
    if (this.#lent) return [...this.#lent];
    const places = new Map<string, number>();
    for (const [index, file] of this.#owners.length ? files.entries() : []) {
      if (!(file instanceof HostFile)) continue;
      const key = keyOf(file.hostFd);
      // By one that is open for writing, if there is one.
      if (file.isWritable || !places.has(key)) places.set(key, index);
    }
    const process = this.#owners.flatMap(({ fd }) => {
      const file = places.get(keyOf(fd));
      if (file === undefined) return [];
      return heldBy(fd, "process").map((lock) => ({ ...lock, file }));
    });
    const own = files.flatMap((file, index) =>
      file instanceof HostFile
        ? heldBy(file.hostFd, "file").map((lock) => ({ ...lock, file: index }))
        : []
    );
    return [...own, ...process];
  }

  /**
   * Lets go of all locks while the program stands still, so that another VMM
   * can take them on the same files.
   *
   * @param files those of {@linkcode dump}, in the same order
   */
  lend(files: readonly OpenFile[]): void {
    const locks = this.dump(files);
    for (const { file: index, owner } of locks) {
      const file = files[index] as HostFile;
      if (owner === "process") this.closed(file);
      else if (owner === "flock") flock(file.hostFd, LOCK.unlock);
      else setRecord(file.hostFd, F_LCK.unlock, 0n, 0n);
    }
    this.#lent = locks;
  }

  /**
   * Takes lent locks again, if there are any: the program goes on here.
   *
   * @throws {FilesError} when another took one; they stay lent then
   */
  takeBack(files: readonly OpenFile[]): void {
    if (!this.#lent) return;
    this.restore(this.#lent, files);
    this.#lent = undefined;
  }

  /**
   * Takes locks again.
   *
   * @param files by index; those that no lock is on may be absent
   * @throws {FilesError} when another has one
   */
  restore(
    locks: readonly LockState[],
    files: readonly (OpenFile | undefined)[],
  ): void {
    this.#recordsAtMost += locks.length;
    for (const { file: index, ...lock } of locks) {
      const file = files[index];
      if (!(file instanceof HostFile)) {
        throw new FilesError(
          "FILES_STATE",
          `Cannot restore "fd-table": a lock is on file ${index}, which is no file of the host's`,
        );
      }
      if (lock.isExclusive && lock.owner !== "flock" && !file.isWritable) {
        throw new FilesError(
          "FILES_STATE",
          `Cannot restore "fd-table": an exclusive lock is on file ${index}, which is not open for writing`,
        );
      }
      const fd = lock.owner === "process" ? this.ownerOf(file) : file.hostFd;
      const result = fd < 0 ? fd : take(fd, lock);
      if (result >= 0) continue;
      const path = file.formerPath ?? hostPathOf(file.hostFd) ?? "a file";
      const isHeld = result === -ERRNO.EAGAIN;
      const why = isHeld ? "another holds one" : errnoName(-result);
      throw new FilesError(
        "FILES_DENIED",
        `Cannot restore the lock on ${pathShown(path)}: ${why}`,
        isHeld
          ? { hint: "end what has locked the file, and restore again" }
          : {},
      );
    }
  }
}
