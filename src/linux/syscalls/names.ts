/**
 * System calls that make, remove, rename and read the names of files.
 *
 * @module
 */

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  ftruncate,
  HostPaths,
  mkdirat,
  mknodat,
  O,
  readlinkat,
  renameat2,
  S_IF,
  unlinkat,
  withoutUmask,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { mayBecome } from "../file_limit.ts";
import type { Linux } from "../linux.ts";
import { resolveVirtual } from "../proc/mod.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import {
  following,
  followsLast,
  LOOK,
  making,
  mayRead,
  naming,
  userPath,
  WRITE,
} from "./paths.ts";

/** unlinkat: remove a folder (fcntl.h). */
const AT_REMOVEDIR = 0x200;

/** Flags of renameat2 (linux/fs.h). */
const RENAME = { exchange: 2, all: 7 } as const;

function unlinkAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  flags: number,
): number {
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  const isParent = /(^|\/)\.\.\/*$/.test(where.path);
  return naming(
    linux,
    where,
    WRITE,
    (fd, name) =>
      isParent && flags & AT_REMOVEDIR
        ? -ERRNO.ENOTEMPTY
        : unlinkat(fd, name, flags),
  );
}

function mkdirAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  mode: number,
): number {
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  const permissions = mode & 0o1777 & ~linux.process.state.umask;
  return making(
    linux,
    where,
    WRITE,
    (fd, name) =>
      name === "."
        ? -ERRNO.EEXIST
        : withoutUmask(true, () => mkdirat(fd, name, permissions)),
  );
}

/** mknod: files and pipes; devices are the host's to make. */
function mknodAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  mode: number,
): number {
  const type = mode & S_IF.mask;
  if (type === S_IF.directory) return -ERRNO.EPERM;
  const known: readonly number[] = [
    0,
    S_IF.regular,
    S_IF.fifo,
    S_IF.character,
    S_IF.block,
    S_IF.socket,
  ];
  if (!known.includes(type)) return -ERRNO.EINVAL;
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  const isDevice = type === S_IF.character || type === S_IF.block;
  if (isDevice) return -ERRNO.EPERM;
  const made = (mode & (S_IF.mask | 0o7777)) & ~linux.process.state.umask;
  return making(
    linux,
    where,
    WRITE,
    (fd, name) =>
      name === "."
        ? -ERRNO.EEXIST
        : withoutUmask(true, () => mknodat(fd, name, made)),
  );
}

function renameAt(
  linux: Linux,
  args: { from: number; fromVa: number; to: number; toVa: number },
  flags: number,
): number {
  const from = userPath(linux, args.from, args.fromVa);
  if (typeof from === "number") return from;
  // What is wrong with the new name is only looked at when the old one is found.
  const to = userPath(linux, args.to, args.toVa);
  if (typeof to === "number") return naming(linux, from, WRITE, () => to);
  // Who may not read a file must not give it a name under which it may be read.
  const both = { read: true, write: true };
  const fromAccess = mayRead(linux, to) ? both : WRITE;
  const isSwap = (flags & RENAME.exchange) !== 0;
  const toAccess = isSwap && mayRead(linux, from) ? both : WRITE;
  return naming(
    linux,
    from,
    fromAccess,
    (fromFd, fromName) =>
      making(
        linux,
        to,
        toAccess,
        (toFd, toName) => renameat2(fromFd, fromName, toFd, toName, flags),
      ),
  );
}

function readlinkAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  bufferVa: number,
  lengthBytes: number,
): number {
  if (lengthBytes <= 0) return -ERRNO.EINVAL;
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  const give = (target: string | number): number => {
    if (typeof target === "number") return target;
    const bytes = Uint8Array.from(target, (c) => c.charCodeAt(0));
    const length = Math.min(bytes.length, lengthBytes);
    return linux.user.write(bufferVa, bytes, length) ? length : -ERRNO.EFAULT;
  };
  // This call takes an empty path for AT_EMPTY_PATH's.
  if (where.path === "" && dirfd !== AT_FDCWD) {
    const file = linux.fds.file(dirfd);
    if (!file) return -ERRNO.EBADF;
    if (file.type !== "host" || file.hostFd === undefined) return -ERRNO.ENOENT;
    return give(readlinkat(file.hostFd, ""));
  }
  // With a slash behind it a link is followed, and what it leads to is none.
  const follows = followsLast(where, AT_SYMLINK_NOFOLLOW);
  const found = resolveVirtual(linux, where, follows);
  if (typeof found === "number") return found;
  if (found?.kind === "file") return -ERRNO.EINVAL; // a folder, with a slash
  if (found?.kind === "node") {
    if (found.node.kind !== "link") return -ERRNO.EINVAL;
    return give(found.node.target(linux) ?? "");
  }
  return follows
    ? following(linux, where, LOOK, () => -ERRNO.EINVAL)
    : naming(linux, where, LOOK, (fd, name) => give(readlinkat(fd, name)));
}

/** Calls on the names of files. */
export const nameCalls: SyscallTable = {
  unlink(linux, args) {
    return unlinkAt(linux, AT_FDCWD, args.u64(0), 0);
  },
  rmdir(linux, args) {
    return unlinkAt(linux, AT_FDCWD, args.u64(0), AT_REMOVEDIR);
  },
  unlinkat(linux, args) {
    const flags = args.int(2);
    if (flags & ~AT_REMOVEDIR) return -ERRNO.EINVAL;
    return unlinkAt(linux, args.int(0), args.u64(1), flags);
  },
  mkdir(linux, args) {
    return mkdirAt(linux, AT_FDCWD, args.u64(0), args.uint(1));
  },
  mkdirat(linux, args) {
    return mkdirAt(linux, args.int(0), args.u64(1), args.uint(2));
  },
  rename(linux, args) {
    const paths = { fromVa: args.u64(0), toVa: args.u64(1) };
    return renameAt(linux, { from: AT_FDCWD, to: AT_FDCWD, ...paths }, 0);
  },
  renameat(linux, args) {
    const paths = { fromVa: args.u64(1), toVa: args.u64(3) };
    return renameAt(linux, { from: args.int(0), to: args.int(2), ...paths }, 0);
  },
  renameat2(linux, args) {
    const paths = { fromVa: args.u64(1), toVa: args.u64(3) };
    const at = { from: args.int(0), to: args.int(2), ...paths };
    const flags = args.uint(4);
    const exchanges = (flags & RENAME.exchange) !== 0;
    if (
      flags > RENAME.all ||
      (exchanges && flags !== RENAME.exchange)
    ) return -ERRNO.EINVAL;
    return renameAt(linux, at, flags);
  },
  readlink(linux, args) {
    return readlinkAt(linux, AT_FDCWD, args.u64(0), args.u64(1), args.int(2));
  },
  readlinkat(linux, args) {
    return readlinkAt(
      linux,
      args.int(0),
      args.u64(1),
      args.u64(2),
      args.int(3),
    );
  },
  mknod(linux, args) {
    return mknodAt(linux, AT_FDCWD, args.u64(0), args.uint(1));
  },
  mknodat(linux, args) {
    return mknodAt(linux, args.int(0), args.u64(1), args.uint(2));
  },
  truncate(linux, args) {
    const length = args.i64(1);
    if (length < 0) return -ERRNO.EINVAL;
    const where = userPath(linux, AT_FDCWD, args.u64(0));
    if (typeof where === "number") return where;
    return following(
      linux,
      where,
      WRITE,
      (fd) =>
        HostPaths.isFileOrFolder(fd)
          ? mayBecome(linux, fd, length) || ftruncate(fd, length)
          : -ERRNO.EINVAL,
      O.writeOnly,
    );
  },
};

/** What they lack. */
export const namePartly = {
  mknod: "devices (EPERM)",
  mknodat: "devices (EPERM)",
} as const satisfies PartlyTable;
