/**
 * System calls that name files by path.
 *
 * @module
 */

import {
  type Access,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  DeviceFile,
  faccessat2,
  fstatat,
  ftruncate,
  HostFile,
  HostPaths,
  isDeviceFile,
  mkdirat,
  O,
  pathOf,
  pathText,
  readlinkat,
  renameat2,
  S_IF,
  statx,
  unlinkat,
  withoutUmask,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { hasDescriptorLeft, install } from "./limits.ts";
import type { SyscallTable } from "./mod.ts";

/** Flags of unlinkat, statx and faccessat (fcntl.h). */
const AT_REMOVEDIR = 0x200;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EACCESS = 0x200;
const AT_STATX_SYNC_TYPE = 0x6000;

/** Flags that open does not know on purpose are ignored, as Linux does. */
const O_KNOWN = 0o17777703 | O.temporary;

/** Flags of renameat2 (linux/fs.h). */
const RENAME = { exchange: 2, all: 7 } as const;

/** What open takes notice of beside O_PATH. */
const O_PATH_KNOWN = O.path | O.directory | O.noFollow | O.closeOnExec;

const READ: Access = { read: true };
/** Changing a file, or an entry of a folder. */
export const WRITE: Access = { write: true };
/** Looking at a name needs no more than being allowed to read there. */
const LOOK: Access = { read: true };

/** A path the program passed: where it starts from, and its characters. */
export interface UserPath {
  readonly cwd: string;
  readonly path: string;
}

/** The folder that `dirfd` stands for, a character a byte; or an errno. */
function folderOf(linux: Linux, dirfd: number): string | number {
  if (dirfd === AT_FDCWD) return linux.process.state.cwd;
  const file = linux.fds.file(dirfd);
  if (!file) return -ERRNO.EBADF;
  if (file.type !== "host" || file.hostFd === undefined) return -ERRNO.ENOTDIR;
  const path = HostPaths.pathOfFd(file.hostFd);
  return path === undefined ? -ERRNO.ENOENT : pathOf(path);
}

/** Reads a path argument; an absolute one needs no folder. */
export function userPath(
  linux: Linux,
  dirfd: number,
  va: number,
): UserPath | number {
  const bytes = linux.user.readString(va);
  if (typeof bytes === "number") return bytes;
  const path = String.fromCharCode(...bytes);
  if (path.startsWith("/")) return { cwd: "/", path };
  const cwd = folderOf(linux, dirfd);
  return typeof cwd === "number" ? cwd : { cwd, path };
}

function openAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  flagsArgument: number,
  mode: number,
): number {
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  // With O_PATH hardly any other flag means something. Linux adds O_LARGEFILE
  // for every 64-bit program.
  const flags = flagsArgument & O.path
    ? flagsArgument & O_PATH_KNOWN
    : (flagsArgument & O_KNOWN) | O.largeFile;
  const left = hasDescriptorLeft(linux);
  if (left < 0) return left;
  const closeOnExec = (flags & O.closeOnExec) !== 0;
  // Of what was asked, what fcntl(F_GETFL) shows afterwards.
  const status = flags &
    ~(O.create | O.exclusive | O.truncate | O.noControllingTerminal |
      O.closeOnExec);
  if (isDeviceFile(where.path)) {
    return install(linux, new DeviceFile(where.path, status), closeOnExec);
  }
  const accessMode = flags & O.accessMode;
  const creates = (flags & (O.create | O.truncate)) !== 0 ||
    (flags & O.temporary) === O.temporary;
  const access: Access = {
    read: accessMode !== O.writeOnly,
    write: (accessMode !== O.readOnly || creates) && !(flags & O.path),
  };
  const permissions = mode & ~linux.process.state.umask;
  const fd = linux.paths.open(
    where.cwd,
    where.path,
    flags & ~O.closeOnExec,
    permissions,
    access,
  );
  if (fd < 0) return fd;
  if (!(flags & O.path) && !HostPaths.isFileOrFolder(fd)) {
    close(fd);
    return linux.unsupported(
      `opening ${pathText(where.path)}, which is no file or folder,`,
      -ERRNO.EACCES,
    );
  }
  return install(linux, new HostFile(fd, status), closeOnExec);
}

/** Runs `call` on a descriptor that stands for the path, links followed. */
export function following(
  linux: Linux,
  where: UserPath,
  access: Access,
  call: (fd: number) => number,
  flags: number = O.path,
): number {
  const fd = linux.paths.open(where.cwd, where.path, flags, 0, access);
  if (fd < 0) return fd;
  try {
    return call(fd);
  } finally {
    close(fd);
  }
}

/** Runs `call` on the folder that holds the path's last name, and that name. */
export function naming(
  linux: Linux,
  where: UserPath,
  access: Access,
  call: (fd: number, name: string) => number,
): number {
  const parent = linux.paths.openParent(where.cwd, where.path, access);
  if (typeof parent === "number") return parent;
  try {
    return call(parent.fd, parent.name);
  } finally {
    close(parent.fd);
  }
}

/** stat, lstat, newfstatat: fills `stat`, 144 bytes. */
function statPath(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  statVa: number,
  flags: number,
): number {
  const stat = new Uint8Array(144);
  const result = lookAt(linux, dirfd, pathVa, flags, {
    file: (file) => file.stat(stat),
    host: (fd, name, at) => fstatat(fd, name, stat, at),
  });
  if (result < 0) return result;
  return linux.user.write(statVa, stat) ? 0 : -ERRNO.EFAULT;
}

/** How a file is looked at: one that is open, or by name. */
interface Look {
  file(
    file: { stat(stat: Uint8Array<ArrayBuffer>): number } & HostFile,
  ): number;
  host(fd: number, name: string, flags: number): number;
}

function lookAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  flags: number,
  look: Look,
): number {
  const bytes = linux.user.readString(pathVa);
  if (typeof bytes === "number") return bytes;
  if (bytes.length === 0 && flags & AT_EMPTY_PATH && dirfd !== AT_FDCWD) {
    const file = linux.fds.file(dirfd);
    return file ? look.file(file as HostFile) : -ERRNO.EBADF;
  }
  const path = String.fromCharCode(...bytes);
  if (isDeviceFile(path)) {
    return look.file(new DeviceFile(path, 0) as unknown as HostFile);
  }
  const where = bytes.length === 0 && flags & AT_EMPTY_PATH
    ? { cwd: linux.process.state.cwd, path: "." }
    : userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  if (flags & AT_SYMLINK_NOFOLLOW) {
    return naming(
      linux,
      where,
      LOOK,
      (fd, name) => look.host(fd, name, AT_SYMLINK_NOFOLLOW),
    );
  }
  return following(
    linux,
    where,
    LOOK,
    (fd) => look.host(fd, "", AT_EMPTY_PATH),
  );
}

function accessAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  mode: number,
  flags: number,
): number {
  if ((mode & ~7) !== 0) return -ERRNO.EINVAL;
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  if (isDeviceFile(where.path)) return mode & 1 ? -ERRNO.EACCES : 0;
  const access: Access = { read: true, write: (mode & 2) !== 0 };
  if (flags & AT_SYMLINK_NOFOLLOW) {
    return naming(
      linux,
      where,
      access,
      (fd, name) => faccessat2(fd, name, mode, flags & ~AT_EMPTY_PATH),
    );
  }
  return following(
    linux,
    where,
    access,
    (fd) => faccessat2(fd, "", mode, (flags & AT_EACCESS) | AT_EMPTY_PATH),
  );
}

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
  return naming(
    linux,
    where,
    WRITE,
    (fd, name) =>
      name === "."
        ? -ERRNO.EEXIST
        : withoutUmask(true, () => mkdirat(fd, name, permissions)),
  );
}

function renameAt(
  linux: Linux,
  args: { from: number; fromVa: number; to: number; toVa: number },
  flags: number,
): number {
  const from = userPath(linux, args.from, args.fromVa);
  if (typeof from === "number") return from;
  const to = userPath(linux, args.to, args.toVa);
  if (typeof to === "number") return to;
  return naming(
    linux,
    from,
    WRITE,
    (fromFd, fromName) =>
      naming(
        linux,
        to,
        WRITE,
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
  const give = (target: string): number => {
    const bytes = Uint8Array.from(target, (c) => c.charCodeAt(0));
    const length = Math.min(bytes.length, lengthBytes);
    return linux.user.write(bufferVa, bytes, length) ? length : -ERRNO.EFAULT;
  };
  if (where.path === "/proc/self/exe") {
    return give(pathOf(linux.process.state.executable));
  }
  return naming(linux, where, READ, (fd, name) => {
    const target = readlinkat(fd, name);
    return typeof target === "number" ? target : give(target);
  });
}

function changeFolder(linux: Linux, path: string | undefined): number {
  if (path === undefined) return -ERRNO.ENOENT;
  linux.process.state.cwd = pathOf(path);
  return 0;
}

/** Calls that name files. */
export const fileCalls: SyscallTable = {
  open(linux, args) {
    return openAt(linux, AT_FDCWD, args.u64(0), args.int(1), args.uint(2));
  },
  openat(linux, args) {
    return openAt(linux, args.int(0), args.u64(1), args.int(2), args.uint(3));
  },
  creat(linux, args) {
    const flags = O.create | O.writeOnly | O.truncate;
    return openAt(linux, AT_FDCWD, args.u64(0), flags, args.uint(1));
  },
  stat(linux, args) {
    return statPath(linux, AT_FDCWD, args.u64(0), args.u64(1), 0);
  },
  lstat(linux, args) {
    const flags = AT_SYMLINK_NOFOLLOW;
    return statPath(linux, AT_FDCWD, args.u64(0), args.u64(1), flags);
  },
  fstat(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file) return -ERRNO.EBADF;
    const stat = new Uint8Array(144);
    const result = file.stat(stat);
    if (result < 0) return result;
    return linux.user.write(args.u64(1), stat) ? 0 : -ERRNO.EFAULT;
  },
  newfstatat(linux, args) {
    const flags = args.int(3);
    const known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
    if (flags & ~known) return -ERRNO.EINVAL;
    return statPath(linux, args.int(0), args.u64(1), args.u64(2), flags);
  },
  statx(linux, args) {
    const flags = args.int(2);
    const mask = args.uint(3);
    const known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT |
      AT_STATX_SYNC_TYPE;
    if (mask & 0x8000_0000) return -ERRNO.EINVAL;
    if ((flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) {
      return -ERRNO.EINVAL;
    }
    if (flags & ~known) return -ERRNO.EINVAL;
    const buffer = new Uint8Array(256);
    const sync = flags & AT_STATX_SYNC_TYPE;
    const result = lookAt(linux, args.int(0), args.u64(1), flags, {
      file: (file) => file.statx(buffer, sync, mask),
      host: (fd, name, at) => statx(fd, name, at | sync, mask, buffer),
    });
    if (result < 0) return result;
    return linux.user.write(args.u64(4), buffer) ? 0 : -ERRNO.EFAULT;
  },
  access(linux, args) {
    return accessAt(linux, AT_FDCWD, args.u64(0), args.int(1), 0);
  },
  faccessat(linux, args) {
    return accessAt(linux, args.int(0), args.u64(1), args.int(2), 0);
  },
  faccessat2(linux, args) {
    const flags = args.int(3);
    if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
      return -ERRNO.EINVAL;
    }
    return accessAt(linux, args.int(0), args.u64(1), args.int(2), flags);
  },
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
        HostPaths.isFileOrFolder(fd) ? ftruncate(fd, length) : -ERRNO.EINVAL,
      O.writeOnly,
    );
  },
  getcwd(linux, args) {
    const { cwd } = linux.process.state;
    const bytes = new Uint8Array(cwd.length + 1);
    for (let i = 0; i < cwd.length; i++) bytes[i] = cwd.charCodeAt(i);
    const there = linux.paths.exists(cwd);
    if (there < 0) return there;
    if (args.u64(1) < bytes.length) return -ERRNO.ERANGE;
    return linux.user.write(args.u64(0), bytes) ? bytes.length : -ERRNO.EFAULT;
  },
  chdir(linux, args) {
    const where = userPath(linux, AT_FDCWD, args.u64(0));
    if (typeof where === "number") return where;
    return following(
      linux,
      where,
      LOOK,
      (fd) => changeFolder(linux, HostPaths.pathOfFd(fd)),
      O.path | O.directory,
    );
  },
  fchdir(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file) return -ERRNO.EBADF;
    const stat = new Uint8Array(144);
    file.stat(stat);
    const mode = new DataView(stat.buffer).getUint32(24, true);
    if (file.hostFd === undefined || (mode & S_IF.mask) !== S_IF.directory) {
      return -ERRNO.ENOTDIR;
    }
    return changeFolder(linux, HostPaths.pathOfFd(file.hostFd));
  },
  umask(linux, args) {
    const { state } = linux.process;
    const old = state.umask;
    state.umask = args.int(0) & 0o777;
    return old;
  },
};
