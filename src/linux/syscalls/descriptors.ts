/**
 * System calls on descriptors: dup, fcntl, pipe, ioctl.
 *
 * @module
 */

import {
  addSeals,
  getSeals,
  HostFile,
  InotifyFile,
  MAX_ALL_PIPES_BYTES,
  MAX_PIPE_BYTES,
  MIN_PIPE_BYTES,
  O,
  PipeBuffer,
  PipeEnd,
  PluginFile,
  POLL,
  S_IF,
  SocketEnd,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { CallArguments } from "../trace.ts";
import { descriptorLimit, install } from "./limits.ts";
import { fcntlLock, isLockCommand } from "./locks.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { terminalAnswer, terminalIoctl } from "./terminal.ts";

/** Commands of fcntl (asm-generic/fcntl.h, linux/fcntl.h). */
const F = {
  dupFd: 0,
  getFd: 1,
  setFd: 2,
  getFl: 3,
  setFl: 4,
  dupFdCloexec: 1030,
  getLease: 1025,
  setPipeSize: 1031,
  getPipeSize: 1032,
  addSeals: 1033,
  getSeals: 1034,
} as const;

/** What F_GETLEASE answers where there is none: F_UNLCK. */
const UNLOCKED = 2;

/** What fcntl does with a descriptor of O_PATH. */
const PATH_COMMANDS: readonly number[] = [
  F.dupFd,
  F.dupFdCloexec,
  F.getFd,
  F.setFd,
  F.getFl,
];

/** Status flags that F_SETFL may change (fcntl(2)). */
const SETTABLE = O.append | O.nonBlock | O.direct | O.noAccessTime | 0o20000;

/** Other requests that programs ask of files. */
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;

/** The lowest inode of a pipe; what it is says nothing. */
const FIRST_PIPE_INODE = 0x1000;

/** An inode that no open pipe has, one from before a thaw included. */
function freePipeInode(linux: Linux): number {
  let inode = FIRST_PIPE_INODE;
  for (const [, { file }] of linux.fds.entries()) {
    if (file instanceof PipeEnd) inode = Math.max(inode, file.pipe.inode + 1);
  }
  return inode;
}

/** How much all of the program's pipes hold. */
function pipeBytes(linux: Linux): number {
  const pipes = new Set<PipeEnd["pipe"]>();
  for (const file of linux.fds.files()) {
    if (file instanceof PipeEnd) pipes.add(file.pipe);
  }
  let total = 0;
  for (const { capacityBytes } of pipes) total += capacityBytes;
  return total;
}

/** F_SETPIPE_SZ: the next power of two, as Linux has it. */
function setPipeSize(
  linux: Linux,
  { pipe }: PipeEnd,
  wantedBytes: number,
): number {
  if (wantedBytes > 0x8000_0000) return -ERRNO.EINVAL;
  let size = MIN_PIPE_BYTES;
  while (size < wantedBytes) size *= 2;
  // Linux lets a superuser have more.
  if (size > MAX_PIPE_BYTES) return -ERRNO.EPERM;
  const more = size - pipe.capacityBytes;
  if (more > 0 && pipeBytes(linux) + more > MAX_ALL_PIPES_BYTES) {
    return -ERRNO.EPERM;
  }
  return pipe.resize(size) ? size : -ERRNO.EBUSY;
}

function pipe(linux: Linux, va: number, flags: number): number {
  if (flags & ~(O.closeOnExec | O.nonBlock | O.direct)) return -ERRNO.EINVAL;
  const buffer = new PipeBuffer(freePipeInode(linux));
  const status = flags & O.nonBlock;
  const closeOnExec = (flags & O.closeOnExec) !== 0;
  const reader = new PipeEnd(buffer, O.readOnly | status);
  const writer = new PipeEnd(
    buffer,
    O.writeOnly | status | flags & O.direct,
  );
  const readFd = install(linux, reader, closeOnExec);
  if (readFd < 0) return readFd;
  const writeFd = install(linux, writer, closeOnExec);
  if (writeFd < 0) {
    linux.fds.close(readFd);
    return writeFd;
  }
  const fds = new DataView(new ArrayBuffer(8));
  fds.setInt32(0, readFd, true);
  fds.setInt32(4, writeFd, true);
  const result = linux.user.writeStruct(va, fds);
  if (result < 0) {
    linux.fds.close(readFd);
    linux.fds.close(writeFd);
  }
  return result;
}

function dupAt(
  linux: Linux,
  from: number,
  to: number,
  closeOnExec: boolean,
): number {
  const file = linux.fds.file(from);
  if (!file || to < 0 || to >= descriptorLimit(linux)) return -ERRNO.EBADF;
  linux.fds.installAt(to, file, closeOnExec);
  return to;
}

/**
 * ioctl of a plugin's file. The number says how much there is at the third
 * argument, and which way it goes (asm-generic/ioctl.h). The old numbers say
 * nothing: those of terminals read, those that the device knows go both ways.
 */
function pluginIoctl(
  linux: Linux,
  args: CallArguments,
  file: PluginFile,
): number {
  const request = args.int(1) >>> 0;
  const va = args.u64(2);
  const terminal = terminalAnswer(request);
  const isOld = terminal === undefined && request >>> 16 === 0;
  const data = new Uint8Array(
    terminal ??
      (isOld ? file.ioctlBytes(request) : request >>> 16 & 0x3fff),
  );
  const holdsData = isOld && data.length > 0;
  const isWrite = holdsData ||
    terminal === undefined && (request & 0x4000_0000) !== 0;
  const isRead = holdsData || terminal !== undefined ||
    (request & 0x8000_0000) !== 0;
  if (isWrite && !linux.user.read(va, data)) return -ERRNO.EFAULT;
  file.caller = linux.task.tid;
  const result = file.ioctl(request, data, args.big(2));
  // It waits whatever O_NONBLOCK says: that is of reading and writing.
  if (result === -ERRNO.EAGAIN) {
    const events = POLL.in | POLL.out;
    return linux.waitFor({ waitsFor: [{ descriptor: args.int(0), events }] });
  }
  if (result < 0 || !isRead) return result;
  return linux.user.write(va, data) ? result : -ERRNO.EFAULT;
}

/** Bytes of a `struct stat`, and lseek's way to ask. */
const STAT_BYTES = 144;
const SEEK_CUR = 1;

/** Bytes from the offset of a regular file to its end, as an int. */
function leftBytes(file: HostFile): number | undefined {
  const bytes = new Uint8Array(STAT_BYTES);
  if (file.stat(bytes) < 0) return undefined;
  const stat = new DataView(bytes.buffer);
  if ((stat.getUint32(24, true) & S_IF.mask) !== S_IF.regular) return undefined;
  return Number(stat.getBigInt64(48, true)) - file.seek(0, SEEK_CUR) | 0;
}

/** Calls on descriptors. */
export const descriptorCalls: SyscallTable = {
  close(linux, args) {
    return linux.fds.close(args.int(0));
  },
  close_range(linux, args) {
    const first = args.uint(0);
    const last = args.uint(1);
    const flags = args.uint(2);
    if (first > last || (flags & ~6) !== 0) return -ERRNO.EINVAL;
    for (const [fd, descriptor] of linux.fds.entries()) {
      if (fd < first || fd > last) continue;
      if (flags & 4) descriptor.closeOnExec = true;
      else linux.fds.close(fd);
    }
    return 0;
  },
  dup(linux, args) {
    const file = linux.fds.file(args.int(0));
    return file ? install(linux, file, false) : -ERRNO.EBADF;
  },
  dup2(linux, args) {
    const from = args.int(0);
    const to = args.int(1);
    if (from === to) return linux.fds.file(from) ? to : -ERRNO.EBADF;
    return dupAt(linux, from, to, false);
  },
  dup3(linux, args) {
    const flags = args.int(2);
    if (flags & ~O.closeOnExec || args.int(0) === args.int(1)) {
      return -ERRNO.EINVAL;
    }
    const closeOnExec = (flags & O.closeOnExec) !== 0;
    return dupAt(linux, args.int(0), args.int(1), closeOnExec);
  },
  fcntl(linux, args) {
    const descriptor = linux.fds.get(args.int(0));
    if (!descriptor) return -ERRNO.EBADF;
    const { file } = descriptor;
    const command = args.int(1);
    if (file.flags & O.path && !PATH_COMMANDS.includes(command)) {
      return -ERRNO.EBADF;
    }
    switch (command) {
      case F.dupFd:
      case F.dupFdCloexec: {
        const minimum = args.uint(2);
        if (minimum >= descriptorLimit(linux)) return -ERRNO.EINVAL;
        const closeOnExec = command === F.dupFdCloexec;
        return install(linux, file, closeOnExec, minimum);
      }
      case F.getFd:
        return descriptor.closeOnExec ? 1 : 0;
      case F.setFd:
        descriptor.closeOnExec = (args.int(2) & 1) !== 0;
        return 0;
      case F.getFl:
        return file.flags;
      case F.setFl: {
        const flags = (file.flags & ~SETTABLE) | (args.int(2) & SETTABLE);
        return file.setStatusFlags(flags);
      }
      case F.getPipeSize:
        return file instanceof PipeEnd ? file.pipe.capacityBytes : -ERRNO.EBADF;
      case F.setPipeSize:
        return file instanceof PipeEnd
          ? setPipeSize(linux, file, args.uint(2))
          : -ERRNO.EBADF;
      case F.addSeals:
        return file instanceof HostFile
          ? addSeals(file.hostFd, args.int(2))
          : -ERRNO.EINVAL;
      case F.getSeals:
        return file instanceof HostFile ? getSeals(file.hostFd) : -ERRNO.EINVAL;
      case F.getLease:
        return file.type === "host" ? UNLOCKED : -ERRNO.EINVAL;
      default:
        if (!isLockCommand(command)) return -ERRNO.EINVAL;
        return fcntlLock(linux, args, file);
    }
  },
  pipe(linux, args) {
    return pipe(linux, args.u64(0), 0);
  },
  pipe2(linux, args) {
    return pipe(linux, args.u64(0), args.int(1));
  },
  ioctl(linux, args) {
    const descriptor = linux.fds.get(args.int(0));
    if (!descriptor || descriptor.file.flags & O.path) return -ERRNO.EBADF;
    const request = args.uint(1);
    const { file } = descriptor;
    const argument = args.u64(2);
    switch (request) {
      case FIOCLEX:
      case FIONCLEX:
        descriptor.closeOnExec = request === FIOCLEX;
        return 0;
      case FIONBIO: {
        const on = linux.user.readStruct(argument, 4);
        if (!on) return -ERRNO.EFAULT;
        const flags = on.getInt32(0, true)
          ? file.flags | O.nonBlock
          : file.flags & ~O.nonBlock;
        return file.setStatusFlags(flags);
      }
      case FIONREAD:
        if (file instanceof PipeEnd) {
          return linux.user.writeU32(argument, file.pipe.lengthBytes);
        }
        if (file instanceof SocketEnd || file instanceof InotifyFile) {
          return linux.user.writeU32(argument, file.waitingBytes);
        }
        if (file instanceof HostFile) {
          const left = leftBytes(file);
          if (left !== undefined) return linux.user.writeU32(argument, left);
        }
        break;
    }
    if (file instanceof PluginFile) return pluginIoctl(linux, args, file);
    return terminalIoctl(linux, args, file);
  },
};

/** What they lack. */
export const descriptorPartly = {
  fcntl:
    "signals (F_SETOWN, F_SETSIG, O_ASYNC), leases, notifications, hints; record locks on what is no file of the host, and more than 8192 of them (ENOLCK); waits as flock",
  ioctl:
    "all but that of terminals and of devices that are scripts, FIONREAD, FIONBIO, FIOCLEX (ENOTTY)",
  close_range: "CLOSE_RANGE_UNSHARE: threads go on sharing descriptors",
} as const satisfies PartlyTable;
