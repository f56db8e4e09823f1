/**
 * System calls on the current folder, and the umask.
 *
 * @module
 */

import { AT_FDCWD, O, S_IF, VirtualFile } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { resolveVirtual } from "../proc/mod.ts";
import type { SyscallTable } from "./mod.ts";
import { following, READ, userPath } from "./paths.ts";

function changeFolder(linux: Linux, path: string | undefined): number {
  if (path === undefined) return -ERRNO.ENOENT;
  linux.process.state.cwd = path;
  return 0;
}

/** Calls on the current folder. */
export const folderCalls: SyscallTable = {
  getcwd(linux, args) {
    const { cwd } = linux.process.state;
    const bytes = new Uint8Array(cwd.length + 1);
    for (let i = 0; i < cwd.length; i++) bytes[i] = cwd.charCodeAt(i);
    const own = resolveVirtual(linux, { cwd: "/", path: cwd }, true);
    const there = own === undefined
      ? linux.paths.exists(cwd)
      : typeof own === "number"
      ? own
      : 0;
    if (there < 0) return there;
    if (args.u64(1) < bytes.length) return -ERRNO.ERANGE;
    return linux.user.write(args.u64(0), bytes) ? bytes.length : -ERRNO.EFAULT;
  },
  chdir(linux, args) {
    const where = userPath(linux, AT_FDCWD, args.u64(0));
    if (typeof where === "number") return where;
    const found = resolveVirtual(linux, where, true);
    if (typeof found === "number") return found;
    if (found?.kind === "node") {
      const isFolder = found.node.kind === "folder";
      return isFolder ? changeFolder(linux, found.path) : -ERRNO.ENOTDIR;
    }
    return following(
      linux,
      where,
      READ,
      (fd) => changeFolder(linux, linux.paths.nameOf(fd)),
      O.path | O.directory,
    );
  },
  fchdir(linux, args) {
    const file = linux.fds.file(args.int(0));
    if (!file) return -ERRNO.EBADF;
    if (file instanceof VirtualFile && file.isFolder) {
      return changeFolder(linux, file.path);
    }
    const stat = new Uint8Array(144);
    file.stat(stat);
    const mode = new DataView(stat.buffer).getUint32(24, true);
    if (file.hostFd === undefined || (mode & S_IF.mask) !== S_IF.directory) {
      return -ERRNO.ENOTDIR;
    }
    return changeFolder(linux, linux.paths.nameOf(file.hostFd));
  },
  umask(linux, args) {
    const { state } = linux.process;
    const old = state.umask;
    state.umask = args.int(0) & 0o777;
    return old;
  },
};
