/**
 * System calls on the space that files take, and on file systems.
 *
 * @module
 */

import {
  AT_FDCWD,
  copyFileRange,
  fallocate,
  fstatfs,
  HostFile,
  O,
  type OpenFile,
  syncFileRange,
  syncfs,
  VirtualFile,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { mayBecome, mayReserve, noRoom, roomToWrite } from "../file_limit.ts";
import { resolveVirtual } from "../proc/mod.ts";
import type { Linux } from "../linux.ts";
import { MAX_RW_BYTES } from "../user_memory.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { following, LOOK, userPath } from "./paths.ts";

/** Bytes of a `struct statfs` (asm-generic/statfs.h). */
const STATFS_BYTES = 120;

/** What a file system is known by (linux/magic.h). */
const MAGIC = {
  proc: 0x9fa0,
  sys: 0x6265_6572,
  temporary: 0x0102_1994,
  pipe: 0x5049_5045,
} as const;

/** The flags of sync_file_range(2), all together. */
const SYNC_FILE_RANGE_ALL = 7;

/** fallocate(2): the file stays as long as it is (linux/falloc.h). */
const KEEP_SIZE = 1;

/** Most bytes that are copied between two turns of the event loop. */
const STEP_BYTES = 16 * 1024 * 1024;

/** A `struct statfs` of what is on no disk. */
function virtualStatfs(bytes: Uint8Array, type: number): number {
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(type), true); // f_type
  view.setBigInt64(8, 4096n, true); // f_bsize
  view.setBigInt64(64, 255n, true); // f_namelen
  view.setBigInt64(72, 4096n, true); // f_frsize
  return 0;
}

function typeOf(path: string): number {
  if (path.startsWith("/proc")) return MAGIC.proc;
  return path.startsWith("/sys") ? MAGIC.sys : MAGIC.temporary;
}

function statfsOf(file: OpenFile, bytes: Uint8Array<ArrayBuffer>): number {
  if (file instanceof HostFile) return fstatfs(file.hostFd, bytes);
  const type = file instanceof VirtualFile
    ? typeOf(file.path)
    : file.type === "pipe"
    ? MAGIC.pipe
    : MAGIC.temporary;
  return virtualStatfs(bytes, type);
}

/** A file whose content may be asked for, by a descriptor; or an errno. */
function opened(linux: Linux, fd: number): OpenFile | number {
  const file = linux.fds.file(fd);
  return file && (file.flags & O.path) === 0 ? file : -ERRNO.EBADF;
}

/** An offset that a program has in its memory; null where it gives none. */
function offsetAt(linux: Linux, va: number): number | null | undefined {
  if (va === 0) return null;
  const view = linux.user.readStruct(va, 8);
  if (!view) return undefined;
  const value = view.getBigInt64(0, true);
  return value > BigInt(Number.MAX_SAFE_INTEGER)
    ? Number.MAX_SAFE_INTEGER
    : Number(value);
}

/** Moves an offset in the program's memory on. */
function moveOffset(
  linux: Linux,
  va: number,
  from: number | null,
  bytes: number,
): number {
  if (from === null) return 0;
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, BigInt(from + bytes), true);
  return linux.user.writeStruct(va, view);
}

/** Calls on space and file systems. */
export const spaceCalls: SyscallTable = {
  fallocate(linux, args) {
    const file = opened(linux, args.int(0));
    if (typeof file === "number") return file;
    const offset = args.i64(2);
    const length = args.i64(3);
    if (offset < 0 || length <= 0) return -ERRNO.EINVAL;
    if (file instanceof HostFile) {
      const mode = args.int(1);
      const end = offset + length;
      const refused = mode === KEEP_SIZE
        ? mayReserve(linux, file.hostFd, end)
        : mode & KEEP_SIZE
        ? 0
        : mayBecome(linux, file.hostFd, end);
      return refused || fallocate(file.hostFd, mode, offset, length);
    }
    if (!file.isWritable) return -ERRNO.EBADF;
    return file.type === "pipe" ? -ERRNO.ESPIPE : -ERRNO.ENODEV;
  },
  statfs(linux, args) {
    const where = userPath(linux, AT_FDCWD, args.u64(0));
    if (typeof where === "number") return where;
    const bytes = new Uint8Array(STATFS_BYTES);
    const found = resolveVirtual(linux, where, true);
    if (typeof found === "number") return found;
    const result = found?.kind === "node"
      ? virtualStatfs(bytes, typeOf(found.path))
      : found?.kind === "file"
      ? statfsOf(found.file, bytes)
      : following(linux, where, LOOK, (fd) => fstatfs(fd, bytes));
    if (result < 0) return result;
    return linux.user.write(args.u64(1), bytes) ? 0 : -ERRNO.EFAULT;
  },
  fstatfs(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file) return -ERRNO.EBADF;
    const bytes = new Uint8Array(STATFS_BYTES);
    const result = statfsOf(file, bytes);
    if (result < 0) return result;
    return linux.user.write(args.u64(1), bytes) ? 0 : -ERRNO.EFAULT;
  },
  readahead(linux, args) {
    const file = opened(linux, args.int(0));
    if (typeof file === "number") return file;
    if (!file.isReadable) return -ERRNO.EBADF;
    // It is advice: what is read is in the host's cache, or soon will be.
    return file instanceof HostFile && !file.isFolder ? 0 : -ERRNO.EINVAL;
  },
  sync_file_range(linux, args) {
    const file = opened(linux, args.int(0));
    if (typeof file === "number") return file;
    const [offset, length] = [args.i64(1), args.i64(2)];
    const flags = args.uint(3);
    if (flags & ~SYNC_FILE_RANGE_ALL || offset < 0 || length < 0) {
      return -ERRNO.EINVAL;
    }
    // The end must be an offset too: 2^63 - 1 at most.
    if (args.big(1) + args.big(2) >> 63n !== 0n) return -ERRNO.EINVAL;
    return file instanceof HostFile
      ? syncFileRange(file.hostFd, offset, length, flags)
      : -ERRNO.ESPIPE;
  },
  syncfs(linux, args) {
    const file = opened(linux, args.int(0));
    if (typeof file === "number") return file;
    return file instanceof HostFile ? syncfs(file.hostFd) : 0;
  },
  // All that the program may have written is in files that it has open, or had.
  sync(linux) {
    for (const file of linux.fds.files()) {
      const isOpen = file instanceof HostFile && (file.flags & O.path) === 0;
      if (isOpen) syncfs(file.hostFd);
    }
    return 0;
  },
  copy_file_range(linux, args) {
    const from = opened(linux, args.int(0));
    const to = opened(linux, args.int(2));
    if (typeof from === "number") return from;
    if (typeof to === "number") return to;
    const [fromVa, toVa] = [args.u64(1), args.u64(3)];
    const fromOffset = offsetAt(linux, fromVa);
    const toOffset = offsetAt(linux, toVa);
    if (fromOffset === undefined || toOffset === undefined) {
      return -ERRNO.EFAULT;
    }
    if (args.uint(5) !== 0) return -ERRNO.EINVAL;
    if (from.isFolder || to.isFolder) return -ERRNO.EISDIR;
    if (!(from instanceof HostFile) || !(to instanceof HostFile)) {
      return -ERRNO.EINVAL;
    }
    // Less than was asked for may be copied; so it is in one step.
    const room = roomToWrite(linux, to, toOffset ?? undefined);
    if (room === 0 && args.u64(4) > 0) {
      return noRoom(linux, to, toOffset ?? undefined);
    }
    const length = Math.min(args.u64(4), MAX_RW_BYTES, STEP_BYTES, room);
    const done = copyFileRange(
      from.hostFd,
      fromOffset,
      to.hostFd,
      toOffset,
      length,
    );
    if (done <= 0) return done;
    const moved = moveOffset(linux, fromVa, fromOffset, done);
    return moved < 0 ? moved : moveOffset(linux, toVa, toOffset, done) || done;
  },
};

/** What they lack. */
export const spacePartly = {
  copy_file_range: "at most 16 MiB in one call; files of the host alone",
  readahead: "any effect: it is taken as advice",
  sync: "file systems of which no file is open",
} as const satisfies PartlyTable;
