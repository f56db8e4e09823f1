/**
 * System calls that change what is known of a file besides its content:
 * permissions, owner, times.
 *
 * @module
 */

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  fchmodat,
  fchownat,
  O,
  utimensat,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { fromFolder } from "./from_folder.ts";
import { following, followsLast, naming, userPath, WRITE } from "./paths.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Nanoseconds that leave a time as it is (linux/stat.h). */
const UTIME_OMIT = 0x3fff_fffen;

/** Changes a file: by a descriptor that stands for it, or by folder and name. */
interface Change {
  byFd(fd: number): number;
  byName(fd: number, name: string): number;
}

/** The path by which this process finds what a descriptor stands for. */
function ownPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function changeMode(mode: number): Change {
  const permissions = mode & 0o7777;
  return {
    byFd: (fd) => fchmodat(AT_FDCWD, ownPath(fd), permissions),
    // Linux has no permissions of links either.
    byName: () => -ERRNO.EOPNOTSUPP,
  };
}

function changeOwner(uid: number, gid: number): Change {
  return {
    byFd: (fd) => fchownat(fd, "", uid, gid, AT_EMPTY_PATH),
    byName: (fd, name) => fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW),
  };
}

/** Times as utimensat(2) takes them; null: now. */
function changeTimes(times: Uint8Array<ArrayBuffer> | null): Change {
  return {
    byFd: (fd) => utimensat(AT_FDCWD, ownPath(fd), times, 0),
    byName: (fd, name) => utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW),
  };
}

/** Changes a file named by path. */
function atPath(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  flags: number,
  change: Change,
): number {
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  if (where.path === "" && flags & AT_EMPTY_PATH) {
    if (dirfd !== AT_FDCWD) return atDescriptor(linux, dirfd, change, true);
    const folder = fromFolder(linux, AT_FDCWD, ".");
    if (typeof folder === "number") return folder;
    return following(linux, folder, WRITE, (fd) => change.byFd(fd));
  }
  return followsLast(where, flags)
    ? following(linux, where, WRITE, (fd) => change.byFd(fd))
    : naming(linux, where, WRITE, (fd, name) => change.byName(fd, name));
}

/** Changes the file behind a descriptor, if its path may be written. */
function atDescriptor(
  linux: Linux,
  descriptor: number,
  change: Change,
  evenPath = false,
): number {
  const file = linux.fds.file(descriptor);
  if (!file || (file.flags & O.path && !evenPath)) return -ERRNO.EBADF;
  if (file.type !== "host" || file.hostFd === undefined) {
    return linux.unsupported(
      "fchmod",
      "what is no file of the host's",
      -ERRNO.EPERM,
    );
  }
  // Whoever may write the file may do this; else its place decides.
  if (file.isWritable) return change.byFd(file.hostFd);
  const path = linux.paths.nameOf(file.hostFd);
  if (path === undefined) return -ERRNO.ENOENT;
  const where = { cwd: "/", path };
  return following(linux, where, WRITE, (fd) => change.byFd(fd));
}

/** `struct timespec[2]` of two pairs of seconds and microseconds; or an errno. */
function fromMicroseconds(
  linux: Linux,
  va: number,
): Uint8Array<ArrayBuffer> | null | number {
  if (va === 0) return null;
  const view = linux.user.readStruct(va, 32);
  if (!view) return -ERRNO.EFAULT;
  const times = new DataView(new ArrayBuffer(32));
  for (const at of [0, 16]) {
    const micros = view.getBigInt64(at + 8, true);
    if (micros < 0n || micros >= 1_000_000n) return -ERRNO.EINVAL;
    times.setBigInt64(at, view.getBigInt64(at, true), true);
    times.setBigInt64(at + 8, micros * 1000n, true);
  }
  return new Uint8Array(times.buffer);
}

/** utimes, futimesat: as utimensat, in microseconds. */
function timesAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  timesVa: number,
): number {
  const times = fromMicroseconds(linux, timesVa);
  if (typeof times === "number") return times;
  const change = changeTimes(times);
  return pathVa === 0 && dirfd !== AT_FDCWD
    ? atDescriptor(linux, dirfd, change)
    : atPath(linux, dirfd, pathVa, 0, change);
}

/** Calls on permissions, owner and times. */
export const attributeCalls: SyscallTable = {
  chmod(linux, args) {
    return atPath(linux, AT_FDCWD, args.u64(0), 0, changeMode(args.uint(1)));
  },
  fchmod(linux, args) {
    return atDescriptor(linux, args.int(0), changeMode(args.uint(1)));
  },
  fchmodat(linux, args) {
    return atPath(linux, args.int(0), args.u64(1), 0, changeMode(args.uint(2)));
  },
  chown(linux, args) {
    const change = changeOwner(args.int(1), args.int(2));
    return atPath(linux, AT_FDCWD, args.u64(0), 0, change);
  },
  lchown(linux, args) {
    const change = changeOwner(args.int(1), args.int(2));
    return atPath(linux, AT_FDCWD, args.u64(0), AT_SYMLINK_NOFOLLOW, change);
  },
  fchown(linux, args) {
    const change = changeOwner(args.int(1), args.int(2));
    return atDescriptor(linux, args.int(0), change);
  },
  fchownat(linux, args) {
    const flags = args.int(4);
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -ERRNO.EINVAL;
    const change = changeOwner(args.int(2), args.int(3));
    return atPath(linux, args.int(0), args.u64(1), flags, change);
  },
  utimes(linux, args) {
    return timesAt(linux, AT_FDCWD, args.u64(0), args.u64(1));
  },
  futimesat(linux, args) {
    return timesAt(linux, args.int(0), args.u64(1), args.u64(2));
  },
  utime(linux, args) {
    let times: Uint8Array<ArrayBuffer> | null = null;
    if (args.u64(1) !== 0) {
      const view = linux.user.readStruct(args.u64(1), 16);
      if (!view) return -ERRNO.EFAULT;
      const both = new DataView(new ArrayBuffer(32));
      both.setBigInt64(0, view.getBigInt64(0, true), true);
      both.setBigInt64(16, view.getBigInt64(8, true), true);
      times = new Uint8Array(both.buffer);
    }
    return atPath(linux, AT_FDCWD, args.u64(0), 0, changeTimes(times));
  },
  utimensat(linux, args) {
    const flags = args.int(3);
    let times: Uint8Array<ArrayBuffer> | null = null;
    if (args.u64(2) !== 0) {
      times = new Uint8Array(32);
      if (!linux.user.read(args.u64(2), times)) return -ERRNO.EFAULT;
      // Where both are left as they are, Linux looks at nothing else.
      const view = new DataView(times.buffer);
      const omits = (at: number) => view.getBigInt64(at, true) === UTIME_OMIT;
      if (omits(8) && omits(24)) return 0;
    }
    const change = changeTimes(times);
    if (args.u64(1) === 0 && args.int(0) !== AT_FDCWD) {
      if (flags !== 0) return -ERRNO.EINVAL;
      return atDescriptor(linux, args.int(0), change);
    }
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -ERRNO.EINVAL;
    return atPath(linux, args.int(0), args.u64(1), flags, change);
  },
};

/** What they lack. */
export const attributePartly = {
  chmod: "files of the host alone",
  fchmod: "files of the host alone",
  fchmodat: "files of the host alone",
  chown: "files of the host alone",
  fchown: "files of the host alone",
  lchown: "files of the host alone",
  fchownat: "files of the host alone",
  utime: "files of the host alone",
  utimes: "files of the host alone",
  futimesat: "files of the host alone",
  utimensat: "files of the host alone",
} as const satisfies PartlyTable;
