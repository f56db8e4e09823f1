/**
 * A file or folder that is on no disk: what /proc and /sys show. Its content is
 * made when it is opened, and travels with it.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { O, S_IF } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";

/** Most bytes of content. */
export const MAX_VIRTUAL_BYTES = 16 * 1024 * 1024;

/** Most bytes of content that all open files have together. */
export const MAX_ALL_VIRTUAL_BYTES = 4 * MAX_VIRTUAL_BYTES;

/** Bytes of a `struct linux_dirent64` before the name (linux/dirent.h). */
const ENTRY_HEAD_BYTES = 19;

/** Where the length of an entry is in it. */
const ENTRY_LENGTH_AT = 16;

/** From where lseek(2) counts. */
const SEEK = { set: 0, current: 1, end: 2 } as const;

/** An entry of a folder. */
export interface VirtualEntry {
  /** Its name, a character a byte. */
  readonly name: string;
  /** Type and permissions, as st_mode has them. */
  readonly mode: number;
  /** What getdents64 shows. */
  readonly inode: number;
}

/** What a virtual file is made of. */
export interface VirtualParts {
  /** Its path, without links, a character a byte. */
  readonly path: string;
  /** Type and permissions, as st_mode has them. */
  readonly mode: number;
  /** Its text; of a folder, its entries as {@linkcode folderContent} has them. */
  readonly content: Uint8Array;
  /** How long stat(2) says that it is; 0 in /proc. */
  readonly sizeBytes?: number;
}

/** An inode for a path: what it is says nothing, but it stays the same. */
export function virtualInode(path: string): number {
  // FNV-1a, 32 bits.
  let hash = 0x811c_9dc5;
  for (let i = 0; i < path.length; i++) {
    hash = Math.imul(hash ^ path.charCodeAt(i), 0x0100_0193);
  }
  return (hash >>> 0) || 1;
}

/** The entries of a folder as getdents64(2) gives them, all of them. */
export function folderContent(entries: readonly VirtualEntry[]): Uint8Array {
  const bytesOf = ({ name }: VirtualEntry) =>
    Math.ceil((ENTRY_HEAD_BYTES + name.length + 1) / 8) * 8;
  const total = entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
  const view = new DataView(new ArrayBuffer(total));
  let at = 0;
  for (const entry of entries) {
    const length = bytesOf(entry);
    view.setBigUint64(at, BigInt(entry.inode), true);
    view.setBigInt64(at + 8, BigInt(at + length), true);
    view.setUint16(at + ENTRY_LENGTH_AT, length, true);
    view.setUint8(at + 18, (entry.mode & S_IF.mask) >> 12);
    for (let i = 0; i < entry.name.length; i++) {
      view.setUint8(at + ENTRY_HEAD_BYTES + i, entry.name.charCodeAt(i));
    }
    at += length;
  }
  return new Uint8Array(view.buffer);
}

/** An open file or folder of /proc, /sys or /dev. */
export class VirtualFile extends OpenFile {
  readonly type = "virtual";
  /** Its path, without links, a character a byte. */
  readonly path: string;
  /** Type and permissions, as st_mode has them. */
  readonly mode: number;
  /** What it held when it was opened. */
  readonly content: Uint8Array;
  /** How long stat(2) says that it is. */
  readonly sizeBytes: number;
  /** Where it is read next. */
  offset: number;

  /** @param parts what it is @param flags O_* flags @param offset in it */
  constructor(parts: VirtualParts, flags: number, offset = 0) {
    super(flags);
    this.path = parts.path;
    this.mode = parts.mode;
    this.content = parts.content;
    this.sizeBytes = parts.sizeBytes ?? 0;
    this.offset = offset;
  }

  override get isFolder(): boolean {
    return (this.mode & S_IF.mask) === S_IF.directory;
  }

  override read(io: IoVector): number {
    const done = this.pread(io, this.offset);
    if (done > 0) this.offset += done;
    return done;
  }

  override pread(io: IoVector, offset: number): number {
    if (this.isFolder) return -ERRNO.EISDIR;
    let done = 0;
    io.forEach((piece) => {
      const at = offset + done;
      const part = this.content.subarray(at, at + piece.length);
      piece.set(part);
      done += part.length;
    });
    return done;
  }

  override readFault(offset: number = this.offset): number {
    if (this.isFolder) return -ERRNO.EISDIR;
    return offset < this.content.length ? super.readFault() : 0;
  }

  override write(): number {
    return -ERRNO.EIO;
  }

  override pwrite(): number {
    return -ERRNO.EIO;
  }

  override seek(offset: number, whence: number): number {
    const from = whence === SEEK.set
      ? 0
      : whence === SEEK.current
      ? this.offset
      : -1;
    // As in /proc, there is no end to count from.
    if (from < 0 || from + offset < 0) return -ERRNO.EINVAL;
    this.offset = from + offset;
    return this.offset;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    writeSpecialStat(stat, this.mode, virtualInode(this.path));
    const view = new DataView(stat.buffer, stat.byteOffset, 144);
    view.setBigInt64(48, BigInt(this.sizeBytes), true); // st_size
    if (this.isFolder) view.setBigUint64(16, 2n, true); // st_nlink
    return 0;
  }

  override getdents(buffer: Uint8Array<ArrayBuffer>): number {
    if (!this.isFolder) return -ERRNO.ENOTDIR;
    const view = new DataView(
      this.content.buffer,
      this.content.byteOffset,
      this.content.length,
    );
    let end = this.offset;
    while (end + ENTRY_HEAD_BYTES < this.content.length) {
      const length = view.getUint16(end + ENTRY_LENGTH_AT, true);
      // An image may hold anything; what is no entry ends the list.
      if (length < ENTRY_HEAD_BYTES || end + length > this.content.length) {
        break;
      }
      if (end + length - this.offset > buffer.length) {
        if (end === this.offset) return -ERRNO.EINVAL;
        break;
      }
      end += length;
    }
    buffer.set(this.content.subarray(this.offset, end));
    const done = Math.max(end - this.offset, 0);
    this.offset = Math.max(end, this.offset);
    return done;
  }

  override setStatusFlags(flags: number): number {
    return flags & O.direct ? -ERRNO.EINVAL : super.setStatusFlags(flags);
  }
}
