/**
 * System calls on sockets: pairs inside the VM. There is no network, and no
 * other process: every other socket is refused with EAFNOSUPPORT.
 *
 * @module
 */

import {
  type IoVector,
  MSG,
  O,
  POLL,
  SOCKET_KIND,
  SocketEnd,
  type SocketKind,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { CallArguments } from "../trace.ts";
import { install } from "./limits.ts";
import { brokenPipe } from "./io.ts";
import type { PartlyTable, RefusedTable, SyscallTable } from "./mod.ts";
import { AF_UNIX, option, setOption, SOL_SOCKET } from "./socket_options.ts";

/** The highest family of sockets (linux/socket.h). */
const AF_MAX = 46;

/** Bits of a type that are flags: SOCK_NONBLOCK and SOCK_CLOEXEC. */
const TYPE_FLAGS = O.nonBlock | O.closeOnExec;

/** SOCK_RAW, which AF_UNIX takes for SOCK_DGRAM. */
const SOCK_RAW = 3;
/** The first type that there is not (linux/net.h). */
const SOCK_MAX = 11;

const KINDS: readonly number[] = Object.values(SOCKET_KIND);

/** The lowest inode of a socket; what it is says nothing. */
const FIRST_SOCKET_INODE = 0x10_0000;

/** Bytes of a `struct msghdr`, and of a `struct mmsghdr`. */
const HEADER_BYTES = 56;

function freeInode(linux: Linux): number {
  let inode = FIRST_SOCKET_INODE;
  for (const [, { file }] of linux.fds.entries()) {
    if (file instanceof SocketEnd) inode = Math.max(inode, file.inode + 2);
  }
  return inode;
}

/** The socket behind a descriptor, or a negative errno. */
function socketAt(linux: Linux, fd: number): SocketEnd | number {
  const file = linux.fds.file(fd);
  if (!file || file.flags & O.path) return -ERRNO.EBADF;
  return file instanceof SocketEnd ? file : -ERRNO.ENOTSOCK;
}

/** Sends what `io` has, and waits where it must. */
function send(
  linux: Linux,
  fd: number,
  socket: SocketEnd,
  io: IoVector | number,
  flags: number,
): number {
  const doneBytes = linux.resumed?.doneBytes ?? 0;
  if (typeof io === "number") return doneBytes > 0 ? doneBytes : io;
  const wanted = io.wantedBytes;
  const isFault = io.isCut && io.lengthBytes === 0;
  const result = isFault ? socket.writeFault(wanted) : socket.send(io);
  const waits = ((socket.flags & O.nonBlock) | (flags & MSG.dontWait)) === 0;
  const waitsFor = [{ descriptor: fd, events: POLL.out }];
  if (result === -ERRNO.EAGAIN && waits) {
    return linux.waitFor({ waitsFor, doneBytes });
  }
  if (result === -ERRNO.EPIPE && (flags & MSG.noSignal) === 0) {
    // Only of a stream does Linux send the signal, and of packets.
    if (socket.kind !== SOCKET_KIND.datagram) {
      return brokenPipe(linux, doneBytes);
    }
  }
  if (result < 0) return doneBytes > 0 ? doneBytes : result;
  const total = doneBytes + result;
  if (socket.isStream && waits && result > 0 && result < wanted && !io.isCut) {
    return linux.waitFor({ waitsFor, doneBytes: total });
  }
  return total;
}

/** What a receive gave; `result` may be WAITING. */
interface Taken {
  readonly result: number;
  readonly flags: number;
}

/** Receives into `io`, and waits where it must. */
function receive(
  linux: Linux,
  fd: number,
  socket: SocketEnd,
  io: IoVector | number,
  flags: number,
): Taken {
  const doneBytes = linux.resumed?.doneBytes ?? 0;
  if (typeof io === "number") {
    return { result: doneBytes > 0 ? doneBytes : io, flags: 0 };
  }
  // Of a socket that is out-of-band there is nothing, ever.
  if (flags & 1) return { result: -ERRNO.EINVAL, flags: 0 };
  const wanted = io.wantedBytes;
  if (socket.isStream && wanted === 0) {
    return { result: doneBytes, flags: 0 };
  }
  const isFault = io.isCut && io.lengthBytes === 0;
  const { result, isTruncated } = isFault
    ? { result: socket.readFault(), isTruncated: false }
    : socket.receive(io, flags);
  const waits = ((socket.flags & O.nonBlock) | (flags & MSG.dontWait)) === 0;
  const waitsFor = [{ descriptor: fd, events: POLL.in }];
  const isEnded = doneBytes > 0 && linux.signals.endsPart();
  if (result === -ERRNO.EAGAIN && waits && !isEnded) {
    return { result: linux.waitFor({ waitsFor, doneBytes }), flags: 0 };
  }
  if (result < 0) {
    return { result: doneBytes > 0 ? doneBytes : result, flags: 0 };
  }
  const total = doneBytes + result;
  const goesOn = socket.isStream && waits && flags & MSG.waitAll &&
    (flags & MSG.peek) === 0 && result > 0 && result < wanted && !io.isCut;
  if (goesOn && !linux.signals.endsPart()) {
    const result = linux.waitFor({ waitsFor, doneBytes: total });
    return { result, flags: 0 };
  }
  return { result: total, flags: isTruncated ? MSG.truncated : 0 };
}

/** Writes an address of no name, as accept(2) and its kin do. */
function giveAddress(
  linux: Linux,
  va: number,
  lengthVa: number,
  address: Uint8Array<ArrayBuffer>,
): number {
  const length = linux.user.readStruct(lengthVa, 4);
  if (!length) return -ERRNO.EFAULT;
  const room = length.getInt32(0, true);
  if (room < 0) return -ERRNO.EINVAL;
  const part = address.slice(0, room);
  if (part.length > 0 && !linux.user.write(va, part)) return -ERRNO.EFAULT;
  return linux.user.writeU32(lengthVa, address.length);
}

/** AF_UNIX, without a name. */
function unnamed(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([AF_UNIX, 0]);
}

/** Why a message to an address is refused: sockets here have no names. */
function refuseAddress(socket: SocketEnd): number {
  if (socket.isStream) return socket.peer ? -ERRNO.EISCONN : -ERRNO.EOPNOTSUPP;
  return -ERRNO.ECONNREFUSED;
}

/** A `struct msghdr`. */
interface Message {
  readonly nameVa: number;
  readonly nameBytes: number;
  readonly iovVa: number;
  readonly iovCount: number;
  readonly controlVa: number;
  readonly controlBytes: number;
}

function readMessage(linux: Linux, va: number): Message | number {
  const view = linux.user.readStruct(va, HEADER_BYTES);
  if (!view) return -ERRNO.EFAULT;
  const iovCount = Number(view.getBigUint64(24, true));
  if (iovCount > 1024) return -ERRNO.EMSGSIZE;
  const nameBytes = view.getInt32(8, true);
  if (nameBytes < 0) return -ERRNO.EINVAL;
  return {
    nameVa: Number(view.getBigUint64(0, true)),
    nameBytes,
    iovVa: Number(view.getBigUint64(16, true)),
    iovCount,
    controlVa: Number(view.getBigUint64(32, true)),
    controlBytes: Number(view.getBigUint64(40, true)),
  };
}

function name(linux: Linux, args: CallArguments): number {
  const socket = socketAt(linux, args.int(0));
  if (typeof socket === "number") return socket;
  return giveAddress(linux, args.u64(1), args.u64(2), unnamed());
}

/** Why there is no pair of such sockets: a negative errno, or 0. */
function refusePair(family: number, type: number, protocol: number): number {
  if (family < 0 || family >= AF_MAX) return -ERRNO.EAFNOSUPPORT;
  if (type >= SOCK_MAX) return -ERRNO.EINVAL;
  if (family !== AF_UNIX) {
    // The internet's have no pairs, and no other kinds.
    const isKind = type >= SOCKET_KIND.stream && type <= SOCK_RAW;
    return isKind ? -ERRNO.EOPNOTSUPP : -ERRNO.ESOCKTNOSUPPORT;
  }
  if (protocol !== 0 && protocol !== AF_UNIX) return -ERRNO.EPROTONOSUPPORT;
  const isKnown = type === SOCK_RAW || KINDS.includes(type);
  return isKnown ? 0 : -ERRNO.ESOCKTNOSUPPORT;
}

/** Calls on sockets. */
export const socketCalls: SyscallTable = {
  socket(linux, args) {
    const family = args.int(0);
    const type = args.int(1);
    if (type & ~(0xf | TYPE_FLAGS)) return -ERRNO.EINVAL;
    if (family < 0 || family >= AF_MAX) return -ERRNO.EAFNOSUPPORT;
    // Without a word where libc only asks for a daemon that may not be there.
    if (family === AF_UNIX) return -ERRNO.EAFNOSUPPORT;
    return linux.unsupported(
      "socket",
      "a network",
      -ERRNO.EAFNOSUPPORT,
    );
  },
  socketpair(linux, args) {
    const type = args.int(1);
    const flags = type & ~0xf;
    if (flags & ~TYPE_FLAGS) return -ERRNO.EINVAL;
    const given = type & 0xf;
    const kind = given === SOCK_RAW ? SOCKET_KIND.datagram : given;
    const refusal = refusePair(args.int(0), given, args.int(2));
    const ends = SocketEnd.pair(
      refusal < 0 ? SOCKET_KIND.stream : kind as SocketKind,
      flags & O.nonBlock,
      freeInode(linux),
      linux.fds.sockets,
    );
    const closeOnExec = (flags & O.closeOnExec) !== 0;
    const fds = new DataView(new ArrayBuffer(8));
    const first = install(linux, ends[0], closeOnExec);
    if (first < 0) return first;
    const second = install(linux, ends[1], closeOnExec);
    if (second < 0) {
      linux.fds.close(first);
      return second;
    }
    fds.setInt32(0, first, true);
    fds.setInt32(4, second, true);
    // Linux says which they are before it makes a pair of any kind.
    let result = linux.user.writeStruct(args.u64(3), fds);
    if (result === 0) result = refusal;
    if (result < 0) {
      linux.fds.close(first);
      linux.fds.close(second);
    }
    return result;
  },
  sendto(linux, args) {
    const fd = args.int(0);
    const skip = linux.resumed?.doneBytes ?? 0;
    const io = linux.user.buffer(args.u64(1), args.u64(2), false, skip);
    if (typeof io === "number" && skip === 0) return io;
    const socket = socketAt(linux, fd);
    if (typeof socket === "number") return socket;
    if (args.u64(4) !== 0) return refuseAddress(socket);
    return send(linux, fd, socket, io, args.uint(3));
  },
  recvfrom(linux, args) {
    const fd = args.int(0);
    const skip = linux.resumed?.doneBytes ?? 0;
    const io = linux.user.buffer(args.u64(1), args.u64(2), true, skip);
    if (typeof io === "number" && skip === 0) return io;
    const socket = socketAt(linux, fd);
    if (typeof socket === "number") return socket;
    const { result } = receive(linux, fd, socket, io, args.uint(3));
    if (result < 0 || args.u64(4) === 0) return result;
    const fault = giveAddress(
      linux,
      args.u64(4),
      args.u64(5),
      new Uint8Array(),
    );
    return fault < 0 ? fault : result;
  },
  sendmsg(linux, args) {
    const fd = args.int(0);
    if (args.uint(2) & MSG.compat) return -ERRNO.EINVAL;
    const socket = socketAt(linux, fd);
    if (typeof socket === "number") return socket;
    const message = readMessage(linux, args.u64(1));
    if (typeof message === "number") return message;
    if (message.controlVa !== 0 && message.controlBytes > 0) {
      return linux.unsupported(
        "sendmsg",
        "control data",
        -ERRNO.EOPNOTSUPP,
      );
    }
    if (message.nameVa !== 0 && message.nameBytes > 0) {
      return refuseAddress(socket);
    }
    const skip = linux.resumed?.doneBytes ?? 0;
    const { iovVa, iovCount } = message;
    const io = linux.user.vector(iovVa, iovCount, false, skip);
    return send(linux, fd, socket, io, args.uint(2));
  },
  recvmsg(linux, args) {
    const fd = args.int(0);
    const va = args.u64(1);
    if (args.uint(2) & MSG.compat) return -ERRNO.EINVAL;
    const socket = socketAt(linux, fd);
    if (typeof socket === "number") return socket;
    const message = readMessage(linux, va);
    if (typeof message === "number") return message;
    const skip = linux.resumed?.doneBytes ?? 0;
    const { iovVa, iovCount } = message;
    const io = linux.user.vector(iovVa, iovCount, true, skip);
    const { result, flags } = receive(linux, fd, socket, io, args.uint(2));
    if (result < 0) return result;
    const closeOnExec = args.uint(2) & MSG.closeOnExec;
    // No name, no control data.
    if (message.nameVa !== 0 && linux.user.writeU32(va + 8, 0) < 0) {
      return -ERRNO.EFAULT;
    }
    const rest = new DataView(new ArrayBuffer(12));
    rest.setUint32(8, flags | closeOnExec, true);
    return linux.user.writeStruct(va + 40, rest) < 0 ? -ERRNO.EFAULT : result;
  },
  shutdown(linux, args) {
    const socket = socketAt(linux, args.int(0));
    if (typeof socket === "number") return socket;
    return socket.shutdown(args.int(1));
  },
  getsockname: name,
  getpeername(linux, args) {
    const socket = socketAt(linux, args.int(0));
    if (typeof socket === "number") return socket;
    return socket.hasPeer ? name(linux, args) : -ERRNO.ENOTCONN;
  },
  getsockopt(linux, args) {
    const socket = socketAt(linux, args.int(0));
    if (typeof socket === "number") return socket;
    const lengthVa = args.u64(4);
    if (args.int(1) !== SOL_SOCKET) return -ERRNO.EOPNOTSUPP;
    const length = linux.user.readStruct(lengthVa, 4);
    if (!length) return -ERRNO.EFAULT;
    const room = length.getInt32(0, true);
    if (room < 0) return -ERRNO.EINVAL;
    const value = option(linux, socket, args.int(2));
    if (typeof value === "number") return value;
    const part = new Uint8Array(value.buffer).slice(0, room);
    if (part.length > 0 && !linux.user.write(args.u64(3), part)) {
      return -ERRNO.EFAULT;
    }
    return linux.user.writeU32(lengthVa, part.length);
  },
  setsockopt(linux, args) {
    const socket = socketAt(linux, args.int(0));
    if (typeof socket === "number") return socket;
    if (args.int(1) !== SOL_SOCKET) return -ERRNO.EOPNOTSUPP;
    if (args.int(4) < 4) return -ERRNO.EINVAL;
    const value = linux.user.readStruct(args.u64(3), 4);
    if (!value) return -ERRNO.EFAULT;
    return setOption(socket, args.int(2), value.getInt32(0, true));
  },
  bind(linux, args) {
    const socket = socketAt(linux, args.int(0));
    return typeof socket === "number" ? socket : -ERRNO.EINVAL;
  },
  connect(linux, args) {
    const socket = socketAt(linux, args.int(0));
    if (typeof socket === "number") return socket;
    return socket.kind === SOCKET_KIND.datagram
      ? -ERRNO.ECONNREFUSED
      : -ERRNO.EISCONN;
  },
  listen(linux, args) {
    const socket = socketAt(linux, args.int(0));
    if (typeof socket === "number") return socket;
    return socket.kind === SOCKET_KIND.datagram
      ? -ERRNO.EOPNOTSUPP
      : -ERRNO.EINVAL;
  },
  accept: refuseAccept,
  accept4: refuseAccept,
};

/** Nothing here listens. */
function refuseAccept(linux: Linux, args: CallArguments): number {
  const socket = socketAt(linux, args.int(0));
  if (typeof socket === "number") return socket;
  return socket.kind === SOCKET_KIND.datagram
    ? -ERRNO.EOPNOTSUPP
    : -ERRNO.EINVAL;
}

/** What they lack. */
export const socketPartly = {
  sendto: "MSG_OOB: it is sent as any other",
  sendmsg: "control data (EOPNOTSUPP); MSG_OOB: it is sent as any other",
  setsockopt:
    "all but sizes of buffers, and what has no effect on pairs (ENOPROTOOPT)",
  getsockopt:
    "time-outs, SO_PEERSEC, SO_PEERGROUPS and what is newer (ENOPROTOOPT)",
} as const satisfies PartlyTable;

/** Those that only ever refuse, and how. */
export const socketRefused = {
  socket: "EAFNOSUPPORT",
  bind: "EINVAL",
  connect: "EISCONN; ECONNREFUSED of SOCK_DGRAM",
  listen: "EINVAL; EOPNOTSUPP of SOCK_DGRAM",
  accept: "EINVAL; EOPNOTSUPP of SOCK_DGRAM",
  accept4: "EINVAL; EOPNOTSUPP of SOCK_DGRAM",
} as const satisfies RefusedTable;
