/**
 * Paths that a program passes, and how they become the host's.
 *
 * @module
 */

import {
  type Access,
  AT_SYMLINK_NOFOLLOW,
  close,
  HostFile,
  O,
  type OpenFile,
  openHost,
  OUTSIDE,
  RESOLVE,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { resolveVirtual } from "../proc/mod.ts";
import { fromFolder, type UserPath } from "./from_folder.ts";

export type { UserPath };

/** Reading a file or a folder. */
export const READ: Access = { read: true };
/** Changing a file, or an entry of a folder. */
export const WRITE: Access = { write: true };
/** Looking at what has a name, links included. */
export const LOOK: Access = {};

/**
 * Reads a path argument. One that is absolute needs no folder, and one that is
 * empty is found to be so before its folder: with AT_EMPTY_PATH, which is the
 * caller's to look at, it means whatever `dirfd` is.
 *
 * @param resolve RESOLVE_* flags: what an absolute path then is
 */
export function userPath(
  linux: Linux,
  dirfd: number,
  va: number,
  resolve = 0,
): UserPath | number {
  const bytes = linux.user.readString(va);
  if (typeof bytes === "number") return bytes;
  const path = String.fromCharCode(...bytes);
  if (path === "") return { cwd: "/", path };
  const isAbsolute = path.startsWith("/");
  if (isAbsolute && resolve & RESOLVE.beneath) return -ERRNO.EXDEV;
  const isInFolder = isAbsolute && (resolve & RESOLVE.inRoot) !== 0;
  if (isAbsolute && !isInFolder) return { cwd: "/", path };
  return fromFolder(linux, dirfd, isInFolder ? `.${path}` : path);
}

/**
 * Whether the last name of a path is followed if it is a link: with a slash
 * behind it Linux does so whatever AT_SYMLINK_NOFOLLOW says, and the link may
 * lead where the program may not go.
 */
export function followsLast({ path }: UserPath, flags: number): boolean {
  return (flags & AT_SYMLINK_NOFOLLOW) === 0 || path.endsWith("/");
}

/**
 * The host's path that a path leads to; a negative errno where it leads to what
 * is the VM's own, which nobody can change.
 */
function hostPath(
  linux: Linux,
  where: UserPath,
  access: Access,
  found: ReturnType<typeof resolveVirtual>,
): UserPath | number {
  if (found === undefined || typeof found === "number") return found ?? where;
  if (found.kind === "host") return { cwd: "/", path: found.path };
  if (found.kind === "file" && found.file.type === "host") {
    const path = linux.paths.placeOf(found.file.hostFd!);
    return path === undefined ? -ERRNO.ENOENT : { cwd: "/", path };
  }
  return access.write && linux.ids.uid === 0 ? -ERRNO.EPERM : -ERRNO.EACCES;
}

/**
 * What the program is told of a path that could not be opened. What is in no
 * folder that it may reach is not there for it, whether the host has it or not:
 * programs look in many places that need not be there, and go on without. Only
 * to make something there is refused, as in a folder of someone else's.
 *
 * @param result of {@linkcode HostPaths}
 * @param creates whether the call makes what is not there
 */
export function toldOf(result: number, creates = false): number {
  if (result !== OUTSIDE) return result;
  return creates ? -ERRNO.EACCES : -ERRNO.ENOENT;
}

/**
 * Opens again a file of the program's that no name leads to, as it is behind a
 * link of /proc/self/fd: the host's descriptor, a negative errno where it was not
 * opened for what is wanted; undefined of any other file.
 */
function openNameless(
  file: OpenFile,
  access: Access,
  flags: number,
): number | undefined {
  if (!(file instanceof HostFile) || !file.hasNoName()) return undefined;
  const isEnough = (!access.read || file.isReadable) &&
    (!access.write || file.isWritable);
  if (!isEnough) return -ERRNO.EACCES;
  return openHost(`/proc/self/fd/${file.hostFd}`, flags | O.closeOnExec);
}

/** Opens what the path leads to, links followed; the host's descriptor. */
export function openFollowing(
  linux: Linux,
  where: UserPath,
  access: Access,
  flags: number,
): number {
  const found = resolveVirtual(linux, where, true);
  const own = typeof found === "object" && found.kind === "file"
    ? openNameless(found.file, access, flags)
    : undefined;
  if (own !== undefined) return own;
  const host = hostPath(linux, where, access, found);
  if (typeof host === "number") return host;
  return toldOf(linux.paths.open(host.cwd, host.path, flags, 0, access));
}

/** Runs `call` on a descriptor that stands for the path, links followed. */
export function following(
  linux: Linux,
  where: UserPath,
  access: Access,
  call: (fd: number) => number,
  flags: number = O.path,
): number {
  const fd = openFollowing(linux, where, access, flags);
  if (fd < 0) return fd;
  try {
    return call(fd);
  } finally {
    close(fd);
  }
}

/**
 * Runs `call` on the folder that holds the path's last name, and that name.
 *
 * @param creates whether the call makes what is not there
 */
export function naming(
  linux: Linux,
  where: UserPath,
  access: Access,
  call: (fd: number, name: string) => number,
  creates = false,
): number {
  const found = resolveVirtual(linux, where, false);
  const host = hostPath(linux, where, access, found);
  if (typeof host === "number") return host;
  const parent = linux.paths.openParent(host.cwd, host.path, access);
  if (typeof parent === "number") return toldOf(parent, creates);
  try {
    return call(parent.fd, parent.name);
  } finally {
    close(parent.fd);
  }
}

/** The same for a call that makes what has the name. */
export function making(
  linux: Linux,
  where: UserPath,
  access: Access,
  call: (fd: number, name: string) => number,
): number {
  return naming(linux, where, access, call, true);
}

/** Whether what has this name may be read. */
export function mayRead(linux: Linux, { cwd, path }: UserPath): boolean {
  const parent = linux.paths.openParent(cwd, path, { read: true });
  if (typeof parent === "number") return false;
  close(parent.fd);
  return true;
}
