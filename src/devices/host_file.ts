/**
 * A regular file or folder of the host, opened for the program.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import {
  addSeals,
  close,
  fstat,
  fsync,
  ftruncate,
  getdents64,
  getSeals,
  lseek,
  lseekFar,
  moveWith,
  preadByte,
  preadv,
  pwritev,
  readlinkat,
  readv,
  setFlags,
  statx,
  writev,
} from "./host_calls.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O, S_IF } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile } from "./open_file.ts";

/** From where lseek(2) counts: the file's offset, its end. */
const SEEK_CUR = 1;
const SEEK_END = 2;

/** Whether a descriptor stands for a file that memfd_create(2) made. */
export function isInMemory(fd: number): boolean {
  const name = readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`);
  return typeof name === "string" && name.startsWith("/memfd:");
}

/**
 * An open file of the host. The host's descriptor holds the offset, and bytes
 * move straight between the file and guest memory.
 */
export class HostFile extends OpenFile {
  readonly type = "host";
  readonly #fd: number;
  #isInMemory: boolean | undefined;
  #isFolder: boolean | undefined;
  /**
   * The path that the file had before a thaw, if it has none any more; a
   * character a byte.
   */
  readonly formerPath: string | undefined;

  /** @param fd the host's descriptor, which this object then owns */
  constructor(fd: number, flags: number, formerPath?: string) {
    super(flags);
    this.#fd = fd;
    this.formerPath = formerPath;
  }

  override get hostFd(): number {
    return this.#fd;
  }

  /** Whether it is a file in the host's memory ({@linkcode isInMemory}). */
  get isInMemory(): boolean {
    return this.#isInMemory ??= isInMemory(this.#fd);
  }

  override get isFolder(): boolean {
    if (this.#isFolder !== undefined) return this.#isFolder;
    const stat = new DataView(new ArrayBuffer(144));
    const isKnown = fstat(this.#fd, new Uint8Array(stat.buffer)) >= 0;
    const type = stat.getUint32(24, true) & S_IF.mask;
    return this.#isFolder = isKnown && type === S_IF.directory;
  }

  /** Whether no name leads to it any more, as far as the host knows. */
  hasNoName(): boolean {
    const stat = new Uint8Array(144);
    if (fstat(this.#fd, stat) < 0) return true;
    return new DataView(stat.buffer).getBigUint64(16, true) === 0n;
  }

  override read(io: IoVector): number {
    return readv(this.#fd, io);
  }

  override write(io: IoVector): number {
    return writev(this.#fd, io);
  }

  override pread(io: IoVector, offset: number): number {
    return preadv(this.#fd, io, offset);
  }

  override pwrite(io: IoVector, offset: number): number {
    return pwritev(this.#fd, io, offset);
  }

  override moveWith(io: IoVector, offset: number, flags: number): number {
    return moveWith(this.#fd, io, offset, flags);
  }

  override readFault(offset?: number): number {
    const at = offset ?? lseek(this.#fd, 0, SEEK_CUR);
    if (at < 0) return at;
    const got = preadByte(this.#fd, at);
    return got > 0 ? super.readFault() : got;
  }

  override seek(offset: number, whence: number): number {
    // Further than numbers are exact, which is further than disks go.
    const isFar = Math.abs(offset) === Number.MAX_SAFE_INTEGER;
    if (isFar && whence <= SEEK_END) {
      const at = lseek(this.#fd, 0, SEEK_CUR);
      return at < 0 ? at : -ERRNO.EINVAL;
    }
    return lseek(this.#fd, offset, whence);
  }

  /** Moves the offset of a folder, which may have all 63 bits. */
  seekFolder(offset: bigint, whence: number): bigint {
    return lseekFar(this.#fd, offset, whence);
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return fstat(this.#fd, stat);
  }

  override statx(
    buffer: Uint8Array<ArrayBuffer>,
    flags: number,
    mask: number,
  ): number {
    return statx(this.#fd, "", flags | AT_EMPTY_PATH, mask, buffer);
  }

  override getdents(buffer: Uint8Array<ArrayBuffer>): number {
    return getdents64(this.#fd, buffer);
  }

  override truncate(lengthBytes: number): number {
    return ftruncate(this.#fd, lengthBytes);
  }

  override sync(dataOnly: boolean): number {
    return fsync(this.#fd, dataOnly);
  }

  /**
   * Seals that a file which is mapped for writing has all the same: they can
   * only be added behind that.
   */
  lateSeals = 0;

  /** Adds the seals that are missing: it is mapped as it was. */
  seal(): void {
    const missing = this.lateSeals & ~(this.seals() ?? 0);
    if (missing !== 0) addSeals(this.#fd, missing);
    this.lateSeals = 0;
  }

  /** The seals of a file in memory; null where there are none ever. */
  seals(): number | null {
    const seals = getSeals(this.#fd);
    return seals < 0 ? null : seals;
  }

  override setStatusFlags(flags: number): number {
    // What matters on a host file: where writes go, and past which cache.
    const result = setFlags(
      this.#fd,
      flags & (O.append | O.direct) | O.nonBlock,
    );
    if (result < 0) return result;
    return super.setStatusFlags(flags);
  }

  override close(): void {
    close(this.#fd);
  }
}
