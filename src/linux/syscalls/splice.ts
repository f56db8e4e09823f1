/**
 * System calls that move bytes between files without the program: splice, tee,
 * vmsplice and sendfile.
 *
 * @module
 */

import {
  BufferVector,
  HostFile,
  O,
  type OpenFile,
  PipeEnd,
  PluginFile,
  POLL,
  S_IF,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { noRoom, roomToWrite } from "../file_limit.ts";
import type { Linux } from "../linux.ts";
import type { CallArguments } from "../trace.ts";
import { MAX_RW_BYTES } from "../user_memory.ts";
import { brokenPipe } from "./io.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Flags of splice(2) (linux/splice.h): not to wait, and all. */
const SPLICE_NONBLOCK = 2;
const SPLICE_ALL = 0xf;

/** Most bytes that are moved in one go. */
const CHUNK_BYTES = 65536;

/** Types of files that pipes can be filled from, and emptied into. */
const SOURCES: readonly string[] = [
  "host",
  "console",
  "device",
  "socket",
  "virtual",
];
const TARGETS: readonly string[] = ["host", "console", "device", "socket"];

/** A file behind a descriptor that can be used; undefined: EBADF. */
function usable(linux: Linux, fd: number): OpenFile | undefined {
  const file = linux.fds.file(fd);
  return file && (file.flags & O.path) === 0 ? file : undefined;
}

/** Whether offsets of the program's can be used with a file. */
function isSeekable(file: OpenFile): boolean {
  return file instanceof HostFile || file.type === "device" ||
    file.type === "virtual";
}

/** Waits for a descriptor, unless the call is not to: then EAGAIN. */
function waitOr(
  linux: Linux,
  descriptor: number,
  events: number,
  waits: boolean,
  doneBytes = 0,
): number {
  if (!waits) return doneBytes > 0 ? doneBytes : -ERRNO.EAGAIN;
  const waitsFor = [{ descriptor, events }];
  return linux.waitFor({ waitsFor, doneBytes });
}

/**
 * Whether a pipe has something to take: undefined, or what the call answers.
 */
function awaitContent(
  linux: Linux,
  fd: number,
  { pipe }: PipeEnd,
  waits: boolean,
): number | undefined {
  if (pipe.lengthBytes > 0) return undefined;
  return pipe.open.write ? waitOr(linux, fd, POLL.in, waits) : 0;
}

/** Whether a pipe has room: undefined, or what the call answers. */
function awaitRoom(
  linux: Linux,
  fd: number,
  { pipe }: PipeEnd,
  waits: boolean,
): number | undefined {
  if (!pipe.open.read) return brokenPipe(linux, 0);
  return pipe.roomBytes > 0 ? undefined : waitOr(linux, fd, POLL.out, waits);
}

/** Reads an offset; null: none is given; undefined: it cannot be read. */
function offsetAt(linux: Linux, va: number): number | null | undefined {
  if (va === 0) return null;
  const view = linux.user.readStruct(va, 8);
  if (!view) return undefined;
  const value = view.getBigInt64(0, true);
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > most ? most : value);
}

/** Moves an offset in the program's memory on; the call's result. */
function moved(
  linux: Linux,
  va: number,
  from: number | null,
  bytes: number,
): number {
  if (from === null || bytes <= 0) return bytes;
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, BigInt(from + bytes), true);
  const written = linux.user.writeStruct(va, view);
  return written < 0 ? written : bytes;
}

/** splice from one pipe to another, and tee, which leaves the bytes there. */
function betweenPipes(
  linux: Linux,
  [fromFd, from]: [number, PipeEnd],
  [toFd, to]: [number, PipeEnd],
  { lengthBytes, waits, keeps }: {
    lengthBytes: number;
    waits: boolean;
    keeps: boolean;
  },
): number {
  if (from.pipe === to.pipe) return -ERRNO.EINVAL;
  const ends = awaitContent(linux, fromFd, from, waits);
  if (ends) return ends;
  const full = awaitRoom(linux, toFd, to, waits) ?? ends;
  if (full !== undefined) return full;
  const most = Math.min(lengthBytes, to.pipe.roomBytes);
  const done = to.pipe.putBytes(from.pipe.content(most));
  if (!keeps) from.pipe.drop(done);
  return done;
}

/** splice from a pipe to a file. */
function fromPipe(
  linux: Linux,
  args: CallArguments,
  [from, to]: [PipeEnd, OpenFile],
  lengthBytes: number,
  waits: boolean,
): number {
  const va = args.u64(3);
  const offset = offsetAt(linux, va);
  if (offset === undefined) return -ERRNO.EFAULT;
  if (offset !== null && !isSeekable(to)) return -ERRNO.EINVAL;
  if (to.flags & O.append || !TARGETS.includes(to.type)) return -ERRNO.EINVAL;
  if (offset !== null && offset < 0) return -ERRNO.EINVAL;
  const ends = awaitContent(linux, args.int(0), from, waits);
  if (ends !== undefined) return ends;
  const room = roomToWrite(linux, to, offset ?? undefined);
  if (room === 0) return noRoom(linux, to, offset ?? undefined);
  const most = Math.min(lengthBytes, from.pipe.lengthBytes, room);
  const io = new BufferVector(linux.memory, most, false);
  io.bytes.set(from.pipe.content(most));
  const done = offset === null ? to.write(io) : to.pwrite(io, offset);
  if (done === -ERRNO.EPIPE) return brokenPipe(linux, 0);
  if (done === -ERRNO.EAGAIN) {
    const mayWait = waits && (to.flags & O.nonBlock) === 0;
    return waitOr(linux, args.int(2), POLL.out, mayWait);
  }
  if (done > 0) from.pipe.drop(done);
  return moved(linux, va, offset, done);
}

/** splice from a file to a pipe. */
function intoPipe(
  linux: Linux,
  args: CallArguments,
  [from, to]: [OpenFile, PipeEnd],
  lengthBytes: number,
  waits: boolean,
): number {
  const va = args.u64(1);
  const offset = offsetAt(linux, va);
  if (offset === undefined) return -ERRNO.EFAULT;
  if (offset !== null && !isSeekable(from)) return -ERRNO.EINVAL;
  if (offset !== null && offset < 0) return -ERRNO.EINVAL;
  const ends = awaitRoom(linux, args.int(2), to, waits);
  if (ends !== undefined) return ends;
  if (!SOURCES.includes(from.type)) return -ERRNO.EINVAL;
  const most = Math.min(lengthBytes, to.pipe.roomBytes);
  const io = new BufferVector(linux.memory, most, true);
  const done = offset === null ? from.read(io) : from.pread(io, offset);
  if (done === -ERRNO.EAGAIN) {
    const mayWait = waits && (from.flags & O.nonBlock) === 0;
    return waitOr(linux, args.int(0), POLL.in, mayWait);
  }
  if (done === -ERRNO.EISDIR) return -ERRNO.EINVAL;
  if (done > 0) to.pipe.putBytes(io.bytes.subarray(0, done));
  return moved(linux, va, offset, done);
}

function splice(linux: Linux, args: CallArguments): number {
  const [fromFd, toFd] = [args.int(0), args.int(2)];
  const lengthBytes = Math.min(args.u64(4), MAX_RW_BYTES);
  const flags = args.int(5);
  if (lengthBytes === 0) return 0;
  if (flags & ~SPLICE_ALL) return -ERRNO.EINVAL;
  const from = usable(linux, fromFd);
  const to = usable(linux, toFd);
  if (!from || !to) return -ERRNO.EBADF;
  if (from instanceof PipeEnd && args.u64(1) !== 0) return -ERRNO.ESPIPE;
  if (to instanceof PipeEnd && args.u64(3) !== 0) return -ERRNO.ESPIPE;
  if (!from.isReadable || !to.isWritable) return -ERRNO.EBADF;
  const never = (file: OpenFile) =>
    file instanceof PipeEnd && (file.flags & O.nonBlock) !== 0;
  const waits = (flags & SPLICE_NONBLOCK) === 0 && !never(from) && !never(to);
  if (from instanceof PipeEnd && to instanceof PipeEnd) {
    const how = { lengthBytes, waits, keeps: false };
    return betweenPipes(linux, [fromFd, from], [toFd, to], how);
  }
  if (from instanceof PipeEnd) {
    return fromPipe(linux, args, [from, to], lengthBytes, waits);
  }
  return to instanceof PipeEnd
    ? intoPipe(linux, args, [from, to], lengthBytes, waits)
    : -ERRNO.EINVAL;
}

function tee(linux: Linux, args: CallArguments): number {
  const [fromFd, toFd] = [args.int(0), args.int(1)];
  const lengthBytes = Math.min(args.u64(2), MAX_RW_BYTES);
  const flags = args.int(3);
  if (flags & ~SPLICE_ALL) return -ERRNO.EINVAL;
  if (lengthBytes === 0) return 0;
  const from = usable(linux, fromFd);
  const to = usable(linux, toFd);
  if (!from || !to || !from.isReadable || !to.isWritable) return -ERRNO.EBADF;
  const arePipes = from instanceof PipeEnd && to instanceof PipeEnd;
  if (!arePipes) return -ERRNO.EINVAL;
  const waits = (flags & SPLICE_NONBLOCK) === 0 &&
    ((from.flags | to.flags) & O.nonBlock) === 0;
  const how = { lengthBytes, waits, keeps: true };
  return betweenPipes(linux, [fromFd, from], [toFd, to], how);
}

function vmsplice(linux: Linux, args: CallArguments): number {
  const fd = args.int(0);
  const flags = args.int(3);
  if (flags & ~SPLICE_ALL) return -ERRNO.EINVAL;
  const file = usable(linux, fd);
  if (!file) return -ERRNO.EBADF;
  const into = !file.isWritable;
  const io = linux.user.vector(args.u64(1), args.u64(2), into);
  if (typeof io === "number") return io;
  if (io.wantedBytes === 0) return 0;
  if (!(file instanceof PipeEnd)) return -ERRNO.EBADF;
  const waits = (flags & SPLICE_NONBLOCK) === 0;
  const ends = into
    ? awaitContent(linux, fd, file, waits)
    : awaitRoom(linux, fd, file, waits);
  if (ends !== undefined) return ends;
  if (io.lengthBytes === 0) return -ERRNO.EFAULT;
  return into ? file.pipe.take(io) : file.pipe.put(io);
}

/** Whether bytes can be read from it anywhere, as sendfile must. */
function canBeSent(file: OpenFile): boolean {
  const stat = new DataView(new ArrayBuffer(144));
  if (!isSeekable(file)) return false;
  file.stat(new Uint8Array(stat.buffer));
  const type = stat.getUint32(24, true) & S_IF.mask;
  return type !== S_IF.directory;
}

function sendfile(linux: Linux, args: CallArguments): number {
  const toFd = args.int(0);
  const from = usable(linux, args.int(1));
  const to = usable(linux, toFd);
  const va = args.u64(2);
  const offset = offsetAt(linux, va);
  if (offset === undefined) return -ERRNO.EFAULT;
  if (!from?.isReadable) return -ERRNO.EBADF;
  if (offset !== null && !isSeekable(from)) return -ERRNO.ESPIPE;
  if (offset !== null && offset < 0) return -ERRNO.EINVAL;
  if (!to?.isWritable) return -ERRNO.EBADF;
  if (to instanceof PluginFile) {
    return linux.unsupported("sendfile", "a device to send to", -ERRNO.EINVAL);
  }
  const isTarget = to instanceof PipeEnd || TARGETS.includes(to.type);
  if (!isTarget || !canBeSent(from) || to.flags & O.append) {
    return -ERRNO.EINVAL;
  }
  const length = Math.min(args.u64(3), MAX_RW_BYTES);
  let done = linux.resumed?.doneBytes ?? 0;
  const waits = (to.flags & O.nonBlock) === 0;
  const ended = (result: number) =>
    moved(linux, va, offset, done > 0 ? done : result);
  // Of a long file, others have their turn in between.
  for (let step = 0; done < length; step++) {
    if (step === STEP_CHUNKS) {
      return linux.waitFor({ deadlineNs: 0, doneBytes: done });
    }
    const room = roomToWrite(linux, to);
    if (room === 0) return done > 0 ? ended(0) : noRoom(linux, to);
    const most = Math.min(length - done, CHUNK_BYTES, room);
    const at = offset === null ? Math.max(from.seek(0, 1), 0) : offset + done;
    const io = new BufferVector(linux.memory, most, true);
    const got = from.pread(io, at);
    if (got <= 0) return ended(got);
    io.turn(got);
    const put = to instanceof PipeEnd ? putInto(to, io) : to.write(io);
    if (put === -ERRNO.EAGAIN) {
      // Of a pipe nobody waits for more room when some was filled.
      const isEnd = !waits ||
        (done > 0 && (to instanceof PipeEnd || linux.signals.endsPart()));
      if (isEnd) return ended(put);
      return waitOr(linux, toFd, POLL.out, true, done);
    }
    if (put === -ERRNO.EPIPE) {
      const result = brokenPipe(linux, done);
      return result > 0 ? ended(0) : result;
    }
    if (put < 0) return ended(put);
    done += put;
    if (offset === null) from.seek(at + put, 0);
  }
  return ended(0);
}

/** How many chunks are sent between two turns of the event loop. */
const STEP_CHUNKS = 256;

/** Fills a pipe as far as there is room. */
function putInto({ pipe }: PipeEnd, io: BufferVector): number {
  if (!pipe.open.read) return -ERRNO.EPIPE;
  return pipe.putBytes(io.bytes.subarray(0, io.lengthBytes)) || -ERRNO.EAGAIN;
}

/** Calls that move bytes between files. */
export const spliceCalls: SyscallTable = { splice, tee, vmsplice, sendfile };

/** What they lack. */
export const splicePartly = {
  splice: "devices that are scripts (EINVAL)",
  sendfile: "to a device that is a script (EINVAL)",
} as const satisfies PartlyTable;
