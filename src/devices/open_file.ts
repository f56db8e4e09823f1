/**
 * What an open file is to the program's system calls.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { O, READABLE, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import type { Watcher } from "./waiters.ts";

/**
 * An open file description (open(2)): what descriptors made by dup share.
 * Results are those of the system calls: zero or more, or a negative errno;
 * -EAGAIN where a call would have to wait.
 */
export abstract class OpenFile {
  /** Names the class in an image. */
  abstract readonly type: string;
  /** O_* flags: the access mode, and the status flags that fcntl shows. */
  flags: number;
  /** How many descriptors point here; the last one to go closes it. */
  references = 0;
  /** How many interests of epoll sets are in it. */
  interestCount = 0;
  #onRelease: Set<() => void> | undefined;

  /** @param flags O_* flags */
  constructor(flags: number) {
    this.flags = flags;
  }

  /**
   * After how long a read that waits gives nothing, nanoseconds; undefined: it
   * waits on. A terminal's, as the program has set it.
   */
  get readTimeoutNs(): number | undefined {
    return undefined;
  }

  /** Whether it was opened for reading. */
  get isReadable(): boolean {
    return (this.flags & O.accessMode) !== O.writeOnly &&
      (this.flags & O.path) === 0;
  }

  /** Whether it was opened for writing. */
  get isWritable(): boolean {
    return (this.flags & O.accessMode) !== O.readOnly &&
      (this.flags & O.path) === 0;
  }

  /** Whether it is a folder. */
  get isFolder(): boolean {
    return false;
  }

  /** Reads at the file's own offset. */
  read(_io: IoVector): number {
    return -ERRNO.EINVAL;
  }

  /** Writes at the file's own offset. */
  write(_io: IoVector): number {
    return -ERRNO.EINVAL;
  }

  /** Reads at `offset`. */
  pread(_io: IoVector, _offset: number): number {
    return -ERRNO.ESPIPE;
  }

  /** Writes at `offset`. */
  pwrite(_io: IoVector, _offset: number): number {
    return -ERRNO.ESPIPE;
  }

  /**
   * Reads or writes as preadv2(2) has it.
   *
   * @param offset where; -1: at the file's own offset
   * @param flags RWF_*, which say nothing to most files
   */
  moveWith(io: IoVector, offset: number, _flags: number): number {
    if (offset < 0) return io.into ? this.read(io) : this.write(io);
    return io.into ? this.pread(io, offset) : this.pwrite(io, offset);
  }

  /**
   * What a read answers when the program may not use the memory: EFAULT, where
   * there is something to read.
   *
   * @param _offset where it reads; absent: at the file's own offset
   */
  readFault(_offset?: number): number {
    return -ERRNO.EFAULT;
  }

  /** What a write of so many bytes answers when they may not be read. */
  writeFault(_lengthBytes: number): number {
    return -ERRNO.EFAULT;
  }

  /** Moves the offset. */
  seek(_offset: number, _whence: number): number {
    return -ERRNO.ESPIPE;
  }

  /** Fills a `struct stat` of 144 bytes. */
  abstract stat(stat: Uint8Array<ArrayBuffer>): number;

  /** Fills a `struct statx` of 256 bytes. */
  statx(
    statx: Uint8Array<ArrayBuffer>,
    _flags: number,
    _mask: number,
  ): number {
    const stat = new Uint8Array(144);
    const result = this.stat(stat);
    if (result < 0) return result;
    statxFromStat(new DataView(stat.buffer), new DataView(statx.buffer));
    return 0;
  }

  /** Which of poll's bits hold now. */
  poll(events: number): number {
    return events & (READABLE | WRITABLE);
  }

  /** Resolves when one of `events` may hold, or when `signal` aborts. */
  wait(_events: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Whether an epoll set takes it (epoll_ctl(2): EPERM where not). */
  get isWatchable(): boolean {
    return false;
  }

  /**
   * Calls `watcher` at each change that may make an event hold, until what is
   * returned is called. One that cannot tell has {@linkcode edges} instead.
   */
  watch(_watcher: Watcher): () => void {
    return () => {};
  }

  /**
   * Of a file that changes without a word (see {@linkcode watch}): a number that
   * differs when what holds may hold anew. `undefined` of all others.
   */
  get edges(): number | undefined {
    return undefined;
  }

  /** Milliseconds until time alone makes an event hold; Infinity: never. */
  leftMs(): number {
    return Infinity;
  }

  /** Directory entries, in getdents64's form. */
  getdents(_buffer: Uint8Array<ArrayBuffer>): number {
    return -ERRNO.ENOTDIR;
  }

  /** Makes the file `lengthBytes` long. */
  truncate(_lengthBytes: number): number {
    return -ERRNO.EINVAL;
  }

  /** Writes what is buffered to the disk. */
  sync(_dataOnly: boolean): number {
    return -ERRNO.EINVAL;
  }

  /** Device control: `argument` is in and out. */
  ioctl(_request: number, _argument: Uint8Array<ArrayBuffer>): number {
    return -ERRNO.ENOTTY;
  }

  /** Sets the status flags (fcntl's F_SETFL). */
  setStatusFlags(flags: number): number {
    this.flags = flags;
    return 0;
  }

  /** A task's call was interrupted, or the task has ended. */
  giveUp(_caller: number, _hasEnded: boolean): void {}

  /** The host's descriptor, where there is one: for calls on a folder. */
  get hostFd(): number | undefined {
    return undefined;
  }

  /** Releases what it holds: the last descriptor is gone. */
  close(): void {}

  /** Calls `forget` when the last descriptor goes, unless taken back before. */
  onRelease(forget: () => void): () => void {
    const all = this.#onRelease ??= new Set();
    all.add(forget);
    return () => all.delete(forget);
  }

  /** The last descriptor is gone: whoever watches it forgets it. */
  release(): void {
    for (const forget of [...this.#onRelease ?? []]) forget();
    this.close();
  }
}

/** A `struct stat` (144 bytes) of a file that is not on a disk. */
export function writeSpecialStat(
  stat: Uint8Array<ArrayBuffer>,
  mode: number,
  inode: number,
  rdev = 0,
): number {
  const view = new DataView(stat.buffer, stat.byteOffset, 144);
  stat.fill(0, 0, 144);
  view.setBigUint64(0, 0xfn, true); // st_dev
  view.setBigUint64(8, BigInt(inode), true); // st_ino
  view.setBigUint64(16, 1n, true); // st_nlink
  view.setUint32(24, mode, true); // st_mode
  view.setBigUint64(40, BigInt(rdev), true); // st_rdev
  view.setBigUint64(56, 4096n, true); // st_blksize
  return 0;
}

/** Fills a `struct statx` from a `struct stat` (statx(2), stat(2)). */
function statxFromStat(stat: DataView, statx: DataView): void {
  new Uint8Array(statx.buffer).fill(0);
  statx.setUint32(0, 0x7ff, true); // stx_mask: STATX_BASIC_STATS
  statx.setUint32(4, Number(stat.getBigUint64(56, true)), true); // blksize
  statx.setUint32(16, Number(stat.getBigUint64(16, true)), true); // nlink
  statx.setUint32(20, stat.getUint32(28, true), true); // uid
  statx.setUint32(24, stat.getUint32(32, true), true); // gid
  statx.setUint16(28, stat.getUint32(24, true), true); // mode
  statx.setBigUint64(32, stat.getBigUint64(8, true), true); // ino
  statx.setBigUint64(40, stat.getBigUint64(48, true), true); // size
  statx.setBigUint64(48, stat.getBigUint64(64, true), true); // blocks
  // Access, change of the inode, change of the content: seconds, nanoseconds.
  for (const [from, to] of [[72, 64], [104, 96], [88, 112]]) {
    statx.setBigInt64(to, stat.getBigInt64(from, true), true);
    statx.setUint32(to + 8, Number(stat.getBigUint64(from + 8, true)), true);
  }
  writeDevice(statx, 128, stat.getBigUint64(40, true)); // rdev
  writeDevice(statx, 136, stat.getBigUint64(0, true)); // dev
}

/** Writes a device's two numbers apart (sys/sysmacros.h's major and minor). */
function writeDevice(statx: DataView, at: number, device: bigint): void {
  const major = device >> 8n & 0xfffn | device >> 32n & ~0xfffn;
  const minor = device & 0xffn | device >> 12n & ~0xffn;
  statx.setUint32(at, Number(BigInt.asUintN(32, major)), true);
  statx.setUint32(at + 4, Number(BigInt.asUintN(32, minor)), true);
}

/** A copy of the first bytes, at most `mostBytes`, of what is to be written. */
export function gather(
  io: IoVector,
  mostBytes: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.min(io.lengthBytes, mostBytes));
  let at = 0;
  io.forEach((piece) => {
    const part = piece.subarray(0, bytes.length - at);
    bytes.set(part, at);
    at += part.length;
  });
  return bytes;
}
