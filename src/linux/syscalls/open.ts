/**
 * System calls that open files.
 *
 * @module
 */

import {
  type Access,
  AT_FDCWD,
  close,
  HostFile,
  HostPaths,
  O,
  pathText,
  RESOLVE,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { PAGE_BYTES } from "../../vmm/mod.ts";
import type { Linux } from "../linux.ts";
import { hasDescriptorLeft, install } from "./limits.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { toldOf, userPath } from "./paths.ts";
import { openAgain, openNode, resolveVirtual } from "../proc/mod.ts";

/** Flags that open does not know on purpose are ignored, as Linux does. */
const O_KNOWN = 0o17777703 | O.temporary;

/** Bytes of a `struct open_how`, and all of RESOLVE_* (linux/openat2.h). */
const OPEN_HOW_BYTES = 24;
const RESOLVE_ALL = 0x3fn;

/** What open takes notice of beside O_PATH. */
const O_PATH_KNOWN = O.path | O.directory | O.noFollow | O.closeOnExec;

/** Whether the flags contradict each other (fs/open.c, build_open_flags). */
function contradict(flags: number): boolean {
  if (flags & O.path) return false;
  if (flags & O.create && flags & O.directory) return true;
  if (!(flags & O.temporary & ~O.directory)) return false;
  return !(flags & O.directory) || (flags & O.accessMode) === O.readOnly;
}

function openAt(
  linux: Linux,
  dirfd: number,
  pathVa: number,
  flagsArgument: number,
  mode: number,
  resolve = 0,
): number {
  if (contradict(flagsArgument)) return -ERRNO.EINVAL;
  let where = userPath(linux, dirfd, pathVa, resolve);
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
  if (linux.devices.has(where.path)) {
    if (resolve & RESOLVE.noXdev) return -ERRNO.EXDEV; // it is in /dev
    if (flags & O.directory) return -ERRNO.ENOTDIR;
    const both = O.create | O.exclusive;
    if ((flags & both) === both) return -ERRNO.EEXIST;
    const file = linux.devices.open(where.path, status);
    return typeof file === "number" ? file : install(linux, file, closeOnExec);
  }
  const follow = (flags & O.noFollow) === 0;
  const found = resolveVirtual(linux, where, follow, resolve);
  if (typeof found === "number") return found;
  if (found?.kind === "node") {
    const file = openNode(linux, found.path, found.node, flags, status);
    return typeof file === "number" ? file : install(linux, file, closeOnExec);
  }
  if (found?.kind === "file") {
    const file = openAgain(linux, found.file, flags, status);
    return typeof file === "number" ? file : install(linux, file, closeOnExec);
  }
  if (found) where = { cwd: "/", path: found.path };
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
    resolve,
  );
  if (fd < 0) {
    const makes = (flags & O.create) !== 0 ||
      (flags & O.temporary) === O.temporary;
    return toldOf(fd, makes);
  }
  if (!(flags & O.path) && !HostPaths.isFileOrFolder(fd)) {
    close(fd);
    return linux.unsupported(
      "open",
      `${pathText(where.path)}, which is no file or folder,`,
      -ERRNO.EACCES,
    );
  }
  return install(linux, new HostFile(fd, status), closeOnExec);
}

/** Calls that open files. */
export const openCalls: SyscallTable = {
  open(linux, args) {
    return openAt(linux, AT_FDCWD, args.u64(0), args.int(1), args.uint(2));
  },
  openat(linux, args) {
    return openAt(linux, args.int(0), args.u64(1), args.int(2), args.uint(3));
  },
  openat2(linux, args) {
    const size = args.u64(3);
    if (size < OPEN_HOW_BYTES) return -ERRNO.EINVAL;
    if (size > PAGE_BYTES) return -ERRNO.E2BIG;
    const how = linux.user.readStruct(args.u64(2), size);
    if (!how) return -ERRNO.EFAULT;
    for (let at = OPEN_HOW_BYTES; at < size; at++) {
      if (how.getUint8(at) !== 0) return -ERRNO.E2BIG;
    }
    const flags = how.getBigUint64(0, true);
    const mode = how.getBigUint64(8, true);
    const resolve = how.getBigUint64(16, true);
    if (flags & ~BigInt(O_KNOWN | O.path)) return -ERRNO.EINVAL;
    if (resolve & ~RESOLVE_ALL) return -ERRNO.EINVAL;
    const both = BigInt(RESOLVE.beneath | RESOLVE.inRoot);
    if ((resolve & both) === both) return -ERRNO.EINVAL;
    const asked = Number(flags);
    const creates = asked & (O.create | O.temporary & ~O.directory);
    if (creates ? mode > 0o7777n : mode !== 0n) return -ERRNO.EINVAL;
    if (asked & O.path && asked & ~O_PATH_KNOWN) return -ERRNO.EINVAL;
    if (contradict(asked)) return -ERRNO.EINVAL;
    const isSlow = creates !== 0 || (asked & O.truncate) !== 0;
    if (isSlow && resolve & BigInt(RESOLVE.cached)) return -ERRNO.EAGAIN;
    const [dirfd, pathVa] = [args.int(0), args.u64(1)];
    return openAt(linux, dirfd, pathVa, asked, Number(mode), Number(resolve));
  },
  creat(linux, args) {
    const flags = O.create | O.writeOnly | O.truncate;
    return openAt(linux, AT_FDCWD, args.u64(0), flags, args.uint(1));
  },
};

/** What they lack. */
export const openPartly = {
  open: "fifos, sockets and devices of the host (EACCES)",
  openat: "as open",
  openat2: "as open",
  creat: "as open",
} as const satisfies PartlyTable;
