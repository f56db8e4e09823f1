/**
 * System calls on the current folder, and the umask.
 *
 * @module
 */

import {
  AT_FDCWD,
  HostFile,
  O,
  openHost,
  pathBytes,
  VirtualFile,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { resolveVirtual } from "../proc/mod.ts";
import type { SyscallTable } from "./mod.ts";
import { openFollowing, READ, userPath } from "./paths.ts";

/** Whether what is no more than a path is there: zero or more, or an errno. */
function lookFor(linux: Linux, path: string): number {
  const own = resolveVirtual(linux, { cwd: "/", path }, true);
  if (own === undefined) return linux.paths.exists(path);
  return typeof own === "number" ? own : 0;
}

/** Makes a folder that was opened, or an errno, the current one. */
function enter(linux: Linux, fd: number): number {
  if (fd < 0) return fd;
  linux.process.folder.enter(fd);
  return 0;
}

/** Calls on the current folder. */
export const folderCalls: SyscallTable = {
  getcwd(linux, args) {
    const { folder } = linux.process;
    const path = folder.place;
    if (path === undefined) return -ERRNO.ENOENT;
    const there = folder.file ? 0 : lookFor(linux, path);
    if (there < 0) return there;
    const bytes = pathBytes(path);
    if (args.u64(1) < bytes.length) return -ERRNO.ERANGE;
    return linux.user.write(args.u64(0), bytes) ? bytes.length : -ERRNO.EFAULT;
  },
  chdir(linux, args) {
    const where = userPath(linux, AT_FDCWD, args.u64(0));
    if (typeof where === "number") return where;
    const found = resolveVirtual(linux, where, true);
    if (typeof found === "number") return found;
    if (found?.kind === "node") {
      if (found.node.kind !== "folder") return -ERRNO.ENOTDIR;
      linux.process.folder.enterPath(found.path);
      return 0;
    }
    return enter(
      linux,
      openFollowing(linux, where, READ, O.path | O.directory),
    );
  },
  fchdir(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file) return -ERRNO.EBADF;
    if (file instanceof VirtualFile && file.isFolder) {
      linux.process.folder.enterPath(file.path);
      return 0;
    }
    if (!(file instanceof HostFile && file.isFolder)) return -ERRNO.ENOTDIR;
    const flags = O.path | O.directory | O.closeOnExec;
    return enter(linux, openHost(`/proc/self/fd/${file.hostFd}`, flags));
  },
  umask(linux, args) {
    const { state } = linux.process;
    const old = state.umask;
    state.umask = args.int(0) & 0o777;
    return old;
  },
};
