/**
 * System calls that move bytes: read, write and their kin.
 *
 * @module
 */

import {
  HostFile,
  type IoVector,
  O,
  type OpenFile,
  PluginFile,
  POLL,
  S_IF,
  SocketEnd,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { SIGNAL } from "../faults.ts";
import { mayBecome, noRoom, roomToWrite } from "../file_limit.ts";
import { CODE } from "../signals/info.ts";
import { MAX_RW_BYTES } from "../user_memory.ts";
import type { PartlyTable, SyscallHandler, SyscallTable } from "./mod.ts";
import type { Registers } from "../registers.ts";
import { limitToStep, nextStep } from "./steps.ts";
import { raise } from "./signal_send.ts";

/** Highest offset in a file (fs.h's MAX_LFS_FILESIZE). */
const MAX_OFFSET = 0x7fff_ffff_ffff_ffffn;

/** The offset of preadv2(2) that stands for the file's own: -1. */
const OWN_OFFSET = 0xffff_ffff_ffff_ffffn;

/** The last way to count from: SEEK_HOLE. */
const SEEK_MAX = 4;

/** The last advice of fadvise64: POSIX_FADV_NOREUSE (linux/fadvise.h). */
const MAX_ADVICE = 5;

/** Most bytes of folder entries in one call. */
const MAX_ENTRIES_BYTES = 65536;

/** Kinds of files that are never read or written at an offset. */
const STREAMS = ["pipe", "socket", "eventfd", "timerfd", "epoll", "console"];

/** Kinds of files that have no read, and no write, whoever asks. */
const UNREADABLE = ["epoll"];
const UNWRITABLE = ["epoll", "timerfd", "signalfd", "inotify"];

/** Whether pread and pwrite are refused, whatever else is wrong. */
export function hasNoOffset(file: OpenFile): boolean {
  return STREAMS.includes(file.type);
}

/** Moves bytes between a file and memory that was checked; its own offset. */
function transfer(
  linux: Linux,
  fd: number,
  file: OpenFile,
  io: IoVector | number,
  wantedBytes: number,
  flags = 0,
): number {
  const doneBytes = linux.resumed?.doneBytes ?? 0;
  if (typeof io === "number") return doneBytes > 0 ? doneBytes : io;
  const limited = limitToFile(linux, file, io, undefined, flags);
  if (limited < 0) return doneBytes > 0 ? doneBytes : limited;
  const isStep = limitToStep(io);
  const offered = io.lengthBytes;
  const result = io.isCut && offered === 0
    ? io.into ? file.readFault() : file.writeFault(io.wantedBytes)
    : flags !== 0
    ? file.moveWith(io, -1, flags)
    : io.into
    ? file.read(io)
    : file.write(io);
  const waits = (file.flags & O.nonBlock) === 0 && (flags & RWF.noWait) === 0;
  if (result === -ERRNO.EAGAIN) {
    if (io.into) return noneToRead(linux, fd, file, waits, doneBytes);
    if (waits) {
      const waitsFor = [{ descriptor: fd, events: POLL.out }];
      return linux.waitFor({ waitsFor, doneBytes });
    }
  }
  if (result < 0) {
    if (result === -ERRNO.EPIPE) return brokenPipe(linux, doneBytes);
    return doneBytes > 0 ? doneBytes : result;
  }
  const total = doneBytes + result;
  if (isStep && result === offered) return nextStep(linux, total);
  // A write to a file that can wait goes on until all is written.
  const more = !io.into && waits && result > 0 && total < wantedBytes &&
    (file.type === "pipe" || file.type === "console" ||
      file instanceof SocketEnd && file.isStream) &&
    (result < offered || io.lengthBytes < offered);
  if (more) {
    return linux.waitFor({
      waitsFor: [{ descriptor: fd, events: POLL.out }],
      doneBytes: total,
    });
  }
  return total;
}

/** What a read gives that has found nothing: it waits, if it may. */
function noneToRead(
  linux: Linux,
  fd: number,
  file: OpenFile,
  waits: boolean,
  doneBytes: number,
): number {
  // What an earlier step of it has read is enough.
  if (doneBytes > 0) return doneBytes;
  const { resumed } = linux;
  const timeoutNs = resumed ? undefined : file.readTimeoutNs;
  if (timeoutNs === 0) return 0;
  if (!waits) return -ERRNO.EAGAIN;
  const now = linux.clock.monotonicNs();
  const deadlineNs = resumed
    ? resumed.deadlineNs
    : timeoutNs === undefined
    ? null
    : Math.floor(now + timeoutNs);
  if (deadlineNs !== null && now >= deadlineNs) return 0;
  const waitsFor = [{ descriptor: fd, events: POLL.in }];
  return linux.waitFor({ waitsFor, deadlineNs });
}

/**
 * Cuts a write to what the limits on the length of files allow: 0, or an errno
 * where they allow nothing.
 */
function limitToFile(
  linux: Linux,
  file: OpenFile,
  io: IoVector,
  offset: number | undefined,
  flags: number,
): number {
  if (io.into || io.wantedBytes === 0) return 0;
  const appends = flags & RWF.append
    ? true
    : flags & RWF.noAppend
    ? false
    : undefined;
  const room = roomToWrite(linux, file, offset, appends);
  if (room < io.lengthBytes) io.limit(room);
  return room > 0 ? 0 : noRoom(linux, file, offset, appends);
}

/** A write that nobody will read. */
export function brokenPipe(linux: Linux, doneBytes: number): number {
  raise(linux, SIGNAL.SIGPIPE, CODE.user, linux.task);
  return doneBytes > 0 ? doneBytes : -ERRNO.EPIPE;
}

/** The file behind argument 0, if it may be read (or written, `into` false). */
function checked(linux: Linux, fd: number, into: boolean): OpenFile | number {
  const file = linux.fds.file(fd);
  if (!file) return -ERRNO.EBADF;
  if (file instanceof PluginFile) file.caller = linux.task.tid;
  if (into ? !file.isReadable : !file.isWritable) return -ERRNO.EBADF;
  // Those that cannot do it at all say so whatever the buffer is.
  const cannot = into ? UNREADABLE : UNWRITABLE;
  return cannot.includes(file.type) ? -ERRNO.EINVAL : file;
}

/** read and write: one buffer. */
function single(into: boolean): SyscallHandler {
  return (linux, args) => {
    const fd = args.int(0);
    const file = checked(linux, fd, into);
    if (typeof file === "number") return file;
    const length = args.u64(2);
    const skip = linux.resumed?.doneBytes ?? 0;
    const io = linux.user.buffer(args.u64(1), length, into, skip);
    return transfer(linux, fd, file, io, Math.min(length, MAX_RW_BYTES));
  };
}

/** A call that has flags of preadv2(2), or none. */
type FlaggedHandler = (linux: Linux, args: Registers, flags?: number) => number;

/** readv and writev: an array of buffers. */
function vectored(into: boolean): FlaggedHandler {
  return (linux, args, flags = 0) => {
    const fd = args.int(0);
    const file = checked(linux, fd, into);
    if (typeof file === "number") return file;
    const skip = linux.resumed?.doneBytes ?? 0;
    const io = linux.user.vector(args.u64(1), args.uint(2), into, skip);
    const length = typeof io === "number" ? 0 : io.lengthBytes + skip;
    return transfer(linux, fd, file, io, length, flags);
  };
}

/** pread64 and pwrite64, preadv and pwritev: at an offset. */
function positioned(into: boolean, vector: boolean): FlaggedHandler {
  return (linux, args, flags = 0) => {
    const offset = args.i64(3);
    if (offset < 0) return -ERRNO.EINVAL;
    const file = linux.fds.file(args.int(0));
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    if (hasNoOffset(file)) return -ERRNO.ESPIPE;
    if (file instanceof PluginFile) file.caller = linux.task.tid;
    if (into ? !file.isReadable : !file.isWritable) return -ERRNO.EBADF;
    const done = linux.resumed?.doneBytes ?? 0;
    const io = vector
      ? linux.user.vector(args.u64(1), args.uint(2), into, done)
      : linux.user.buffer(args.u64(1), args.u64(2), into, done);
    if (typeof io === "number") return done > 0 ? done : io;
    // The end of what is moved must be an offset too (2^63 - 1 at most).
    if (
      offset === Number.MAX_SAFE_INTEGER &&
      args.big(3) + BigInt(io.wantedBytes) > MAX_OFFSET
    ) return -ERRNO.EINVAL;
    const limited = limitToFile(linux, file, io, offset + done, flags);
    if (limited < 0) return done > 0 ? done : limited;
    if (io.isCut && io.lengthBytes === 0) {
      if (done > 0) return done;
      return into ? file.readFault(offset) : file.writeFault(io.wantedBytes);
    }
    const isStep = limitToStep(io);
    const at = offset + done;
    const result = flags !== 0
      ? file.moveWith(io, at, flags)
      : into
      ? file.pread(io, at)
      : file.pwrite(io, at);
    if (isStep && result === io.lengthBytes) {
      return nextStep(linux, done + result);
    }
    const waits = (file.flags & O.nonBlock) === 0 &&
      (flags & RWF.noWait) === 0;
    if (result === -ERRNO.EAGAIN && waits) {
      const events = into ? POLL.in : POLL.out;
      const waitsFor = [{ descriptor: args.int(0), events }];
      return linux.waitFor({ waitsFor, doneBytes: done });
    }
    if (result < 0) return done > 0 ? done : result;
    return done + result;
  };
}

/**
 * Flags of preadv2(2) (linux/fs.h): not to wait, at the end, or not there; and
 * all.
 */
const RWF = { noWait: 8, append: 0x10, noAppend: 0x20, all: 0xff } as const;

/** What a call with flags that are not there answers, and when: last. */
function refuseFlags(linux: Linux, args: Registers, into: boolean): number {
  const offset = args.i64(3);
  if (offset < -1) return -ERRNO.EINVAL;
  const file = linux.fds.file(args.int(0));
  if (!file || file.flags & O.path) return -ERRNO.EBADF;
  if (offset >= 0 && hasNoOffset(file)) return -ERRNO.ESPIPE;
  if (into ? !file.isReadable : !file.isWritable) return -ERRNO.EBADF;
  const io = linux.user.vector(args.u64(1), args.uint(2), into);
  if (typeof io === "number") return io;
  if (io.wantedBytes === 0) return 0;
  return -ERRNO.EOPNOTSUPP;
}

/** preadv2 and pwritev2: as preadv and pwritev, or readv and writev. */
function flagged(into: boolean): SyscallHandler {
  const atOffset = positioned(into, true);
  const atOwn = vectored(into);
  return (linux, args) => {
    const flags = args.uint(5);
    if (flags & ~RWF.all) return refuseFlags(linux, args, into);
    if (flags !== 0) {
      const file = linux.fds.file(args.int(0));
      if (!file) return -ERRNO.EBADF;
    }
    return args.big(3) === OWN_OFFSET
      ? atOwn(linux, args, flags)
      : atOffset(linux, args, flags);
  };
}

/** Calls that move bytes. */
export const ioCalls: SyscallTable = {
  read: single(true),
  write: single(false),
  readv: vectored(true),
  writev: vectored(false),
  pread64: positioned(true, false),
  pwrite64: positioned(false, false),
  preadv: positioned(true, true),
  pwritev: positioned(false, true),
  preadv2: flagged(true),
  pwritev2: flagged(false),
  lseek(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    const whence = args.uint(2);
    if (whence > SEEK_MAX) return -ERRNO.EINVAL;
    return file instanceof HostFile && file.isFolder
      ? file.seekFolder(BigInt.asIntN(64, args.big(1)), whence)
      : file.seek(args.i64(1), whence);
  },
  getdents64(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file) return -ERRNO.EBADF;
    if (file.flags & O.path) return -ERRNO.EBADF;
    // The kernel counts the room that is left in an int.
    if (args.int(2) < 0) {
      const result = file.getdents(new Uint8Array());
      return result === -ERRNO.ENOTDIR ? result : -ERRNO.EINVAL;
    }
    const wanted = Math.min(args.int(2), MAX_ENTRIES_BYTES);
    // No more is asked for than the program can take: entries that were read
    // and cannot be given would be lost.
    const io = linux.user.buffer(args.u64(1), wanted, true);
    const room = typeof io === "number" ? 0 : io.lengthBytes;
    const buffer = new Uint8Array(room);
    const length = file.getdents(buffer);
    if (length === -ERRNO.EINVAL && room < wanted) return -ERRNO.EFAULT;
    if (length <= 0) return length;
    return linux.user.write(args.u64(1), buffer, length)
      ? length
      : -ERRNO.EFAULT;
  },
  ftruncate(linux, args) {
    const file = linux.fds.file(args.int(0));
    const length = args.i64(1);
    if (length < 0) return -ERRNO.EINVAL;
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    if (!file.isWritable) return -ERRNO.EINVAL;
    const refused = file instanceof HostFile &&
      mayBecome(linux, file.hostFd, length);
    return refused || file.truncate(length);
  },
  fadvise64(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    const stat = new Uint8Array(144);
    const result = file.stat(stat);
    if (result < 0) return result;
    const mode = new DataView(stat.buffer).getUint32(24, true);
    if ((mode & S_IF.mask) === S_IF.fifo) return -ERRNO.ESPIPE;
    // Advice that is in order is taken, and not acted on.
    const isKnown = args.uint(3) <= MAX_ADVICE;
    return args.i64(2) < 0 || !isKnown ? -ERRNO.EINVAL : 0;
  },
  fsync(linux, args) {
    return linux.fds.file(args.int(0))?.sync(false) ?? -ERRNO.EBADF;
  },
  fdatasync(linux, args) {
    return linux.fds.file(args.int(0))?.sync(true) ?? -ERRNO.EBADF;
  },
};

/** What they lack. */
export const ioPartly = {
  fadvise64: "any effect: it is taken as advice",
} as const satisfies PartlyTable;
