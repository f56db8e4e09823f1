/**
 * System calls that watch files for changes (inotify(7)).
 *
 * @module
 */

import { AT_FDCWD, InotifyFile, isForVmm, O } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { hasDescriptorLeft, install } from "./limits.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { following, READ, userPath } from "./paths.ts";

/** Bits of a mask that say how, and all that are known (linux/inotify.h). */
const IN = {
  onlyFolder: 0x0100_0000,
  dontFollow: 0x0200_0000,
  create: 0x1000_0000,
  add: 0x2000_0000,
  known: 0xf700_efff,
} as const;

/** Most that a VM has at once: they are of those that the VMM's user may have. */
const MOST_FILES = 8;

/** Whether a program has as many as it may. */
function hasAll(linux: Linux): boolean {
  const files = linux.fds.files().filter((one) => one instanceof InotifyFile);
  return files.length >= MOST_FILES;
}

function init(linux: Linux, flags: number): number {
  if (flags & ~(O.closeOnExec | O.nonBlock)) return -ERRNO.EINVAL;
  if (hasAll(linux)) return -ERRNO.EMFILE;
  const left = hasDescriptorLeft(linux);
  if (left < 0) return left;
  const file = InotifyFile.make(flags & O.nonBlock);
  if (typeof file === "number") return file;
  if (isForVmm(file.hostFd)) {
    file.close();
    return -ERRNO.EMFILE;
  }
  return install(linux, file, (flags & O.closeOnExec) !== 0);
}

/** The file of inotify behind a descriptor, or a negative errno. */
function fileAt(linux: Linux, fd: number): InotifyFile | number {
  const file = linux.fds.file(fd);
  if (!file || file.flags & O.path) return -ERRNO.EBADF;
  return file instanceof InotifyFile ? file : -ERRNO.EINVAL;
}

/** Calls that watch files. */
export const inotifyCalls: SyscallTable = {
  inotify_init: (linux) => init(linux, 0),
  inotify_init1(linux, args) {
    return init(linux, args.int(0));
  },
  inotify_add_watch(linux, args) {
    const mask = args.uint(2);
    if (mask === 0 || mask & ~IN.known) return -ERRNO.EINVAL;
    const file = fileAt(linux, args.int(0));
    if (typeof file === "number") return file;
    if (mask & IN.add && mask & IN.create) return -ERRNO.EINVAL;
    const where = userPath(linux, AT_FDCWD, args.u64(1));
    if (typeof where === "number") return where;
    const flags = O.path | (mask & IN.dontFollow ? O.noFollow : 0) |
      (mask & IN.onlyFolder ? O.directory : 0);
    return following(linux, where, READ, (fd) => {
      const path = linux.paths.nameOf(fd);
      if (path === undefined) return -ERRNO.ENOENT;
      return file.watchFile(fd, path, (mask & ~IN.dontFollow) >>> 0);
    }, flags);
  },
  inotify_rm_watch(linux, args) {
    const file = fileAt(linux, args.int(0));
    return typeof file === "number" ? file : file.unwatch(args.int(1));
  },
};

/** What they lack. */
export const inotifyPartly = {
  inotify_init: "more than 8 at once (EMFILE)",
  inotify_init1: "more than 8 at once (EMFILE)",
  inotify_add_watch: "what changed between a save and the thaw; /proc and /sys",
} as const satisfies PartlyTable;
