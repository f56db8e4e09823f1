/**
 * System calls that look at files.
 *
 * @module
 */

import {
  type Access,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  DeviceFile,
  faccessat2,
  fstatat,
  type OpenFile,
  statx,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { looked, modeOf, resolveVirtual } from "../proc/mod.ts";
import type { SyscallTable } from "./mod.ts";
import { fromFolder, type UserPath } from "./from_folder.ts";
import { following, followsLast, LOOK, naming, userPath } from "./paths.ts";

/** Flags of newfstatat, statx and faccessat2 (fcntl.h). */
const AT_NO_AUTOMOUNT = 0x800;
const AT_EACCESS = 0x200;
const AT_STATX_SYNC_TYPE = 0x6000;

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
  file(file: OpenFile): number;
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
    return file ? look.file(file) : -ERRNO.EBADF;
  }
  const path = String.fromCharCode(...bytes);
  if (linux.devices.has(path)) return look.file(new DeviceFile(path, 0));
  const where = bytes.length === 0 && flags & AT_EMPTY_PATH
    ? fromFolder(linux, AT_FDCWD, ".")
    : userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  const found = resolveVirtual(linux, where, followsLast(where, flags));
  if (typeof found === "number") return found;
  if (found?.kind === "file") return look.file(found.file);
  if (found?.kind === "node") return look.file(looked(found.path, found.node));
  if (!followsLast(where, flags)) {
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

/** access(2) of what is the VM's own, by its permissions. */
function accessOwn(linux: Linux, permissions: number, mode: number): number {
  const isRoot = linux.ids.uid === 0;
  if (mode & 1 && (permissions & 0o111) === 0) return -ERRNO.EACCES;
  return mode & 2 && !isRoot && (permissions & 0o222) === 0 ? -ERRNO.EACCES : 0;
}

/** access(2) of what a descriptor, or AT_FDCWD, stands for. */
function accessOpen(
  linux: Linux,
  dirfd: number,
  mode: number,
  flags: number,
): number {
  const call = (fd: number) =>
    faccessat2(fd, "", mode, (flags & AT_EACCESS) | AT_EMPTY_PATH);
  const at = (where: UserPath) => {
    const access: Access = { read: true, write: (mode & 2) !== 0 };
    return following(linux, where, access, call);
  };
  if (dirfd === AT_FDCWD) {
    const where = fromFolder(linux, AT_FDCWD, ".");
    return typeof where === "number" ? where : at(where);
  }
  const file = linux.fds.file(dirfd);
  if (!file) return -ERRNO.EBADF;
  if (file.type === "host" && file.hostFd !== undefined) {
    if ((mode & 2) === 0 || file.isWritable) return call(file.hostFd);
    const path = linux.paths.nameOf(file.hostFd);
    return path === undefined ? -ERRNO.ENOENT : at({ cwd: "/", path });
  }
  const stat = new Uint8Array(144);
  const result = file.stat(stat);
  if (result < 0) return result;
  const permissions = new DataView(stat.buffer).getUint32(24, true);
  return accessOwn(linux, permissions, mode);
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
  if (where.path === "" && flags & AT_EMPTY_PATH) {
    return accessOpen(linux, dirfd, mode, flags);
  }
  if (linux.devices.has(where.path)) return mode & 1 ? -ERRNO.EACCES : 0;
  const found = resolveVirtual(linux, where, followsLast(where, flags));
  if (typeof found === "number") return found;
  if (found?.kind === "node") {
    return accessOwn(linux, modeOf(found.node), mode);
  }
  if (found?.kind === "file" && found.file.type !== "host") {
    return mode & 1 ? -ERRNO.EACCES : 0;
  }
  const access: Access = { read: true, write: (mode & 2) !== 0 };
  if (!followsLast(where, flags)) {
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

/** Calls that look at files. */
export const lookCalls: SyscallTable = {
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
};
