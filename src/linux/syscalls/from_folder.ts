/**
 * Where a relative path leads, from the folder that it begins in.
 *
 * @module
 */

import {
  AT_FDCWD,
  close,
  HostFile,
  O,
  openat2,
  VirtualFile,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";

/** A path the program passed: where it starts from, and its characters. */
export interface UserPath {
  readonly cwd: string;
  readonly path: string;
}

/** A path that begins with `..`, and the rest of it. */
const UPWARDS = /^(?:\.?\/)*\.\.(?:\/+|$)(.*)$/s;

/** A path that leads nowhere but to where it begins. */
const ITSELF = /^(?:\.?\/)*\.?$/;

/**
 * Where a path leads that begins in a folder of the host's which is open. One
 * that was removed has nothing in it, but is still there, and so is what held
 * it.
 *
 * @param self a path that leads to the folder itself
 */
function fromOpen(
  linux: Linux,
  fd: number,
  path: string,
  self: string,
): UserPath | number {
  let at = fd;
  try {
    for (let rest = path;;) {
      const cwd = linux.paths.placeOf(at);
      if (cwd !== undefined) return { cwd, path: rest };
      const upwards = UPWARDS.exec(rest)?.[1];
      if (upwards === undefined) {
        const isItself = at === fd && ITSELF.test(rest);
        return isItself ? { cwd: "/", path: self } : -ERRNO.ENOENT;
      }
      // One at a time is held: a program may remove any number.
      const flags = O.path | O.directory | O.closeOnExec;
      const holder = openat2(at, "..", flags, 0, 0);
      if (holder < 0) return holder;
      if (at !== fd) close(at);
      at = holder;
      rest = upwards || ".";
    }
  } finally {
    if (at !== fd) close(at);
  }
}

/** Where a path leads that begins in the current folder. */
function fromCurrent(linux: Linux, path: string): UserPath | number {
  const { folder } = linux.process;
  if (folder.file) {
    return fromOpen(linux, folder.file.hostFd, path, "/proc/self/cwd/.");
  }
  if (folder.place !== undefined) return { cwd: folder.place, path };
  // It was removed before a thaw: the name of what held it is left.
  const upwards = UPWARDS.exec(path)?.[1];
  if (upwards === undefined) return -ERRNO.ENOENT;
  const holder = folder.path.slice(0, folder.path.lastIndexOf("/")) || "/";
  return { cwd: holder, path: upwards || "." };
}

/**
 * Where a relative path leads from the folder that `dirfd` stands for; or an
 * errno.
 */
export function fromFolder(
  linux: Linux,
  dirfd: number,
  path: string,
): UserPath | number {
  if (dirfd === AT_FDCWD) return fromCurrent(linux, path);
  const file = linux.fds.file(dirfd);
  if (!file) return -ERRNO.EBADF;
  if (file instanceof VirtualFile && file.isFolder) {
    return { cwd: file.path, path };
  }
  if (!(file instanceof HostFile && file.isFolder)) return -ERRNO.ENOTDIR;
  return fromOpen(linux, file.hostFd, path, `/proc/self/fd/${dirfd}/.`);
}
