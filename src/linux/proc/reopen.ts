/**
 * Opening /proc/PID/fd/N: the file that a descriptor stands for, once more.
 *
 * @module
 */

import {
  close,
  DeviceFile,
  HostFile,
  HostPaths,
  isForVmm,
  O,
  type OpenFile,
  openHost,
  OUTSIDE,
  VirtualFile,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";

/** Whether a file that is open allows what an opening asks for. */
function allows(file: OpenFile, flags: number): boolean {
  const mode = flags & O.accessMode;
  const reads = mode !== O.writeOnly;
  const writes = mode !== O.readOnly || (flags & O.truncate) !== 0;
  return (!reads || file.isReadable) && (!writes || file.isWritable);
}

/**
 * Opens a host file by its name, as far as the program may; one that has none
 * any more, as far as it is open already.
 */
function openHostFile(
  linux: Linux,
  file: HostFile,
  flags: number,
  status: number,
): OpenFile | number {
  const mode = flags & O.accessMode;
  const access = {
    read: mode !== O.writeOnly,
    write: (mode !== O.readOnly || (flags & O.truncate) !== 0) &&
      !(flags & O.path),
  };
  const hostFlags = flags & ~(O.closeOnExec | O.create | O.exclusive);
  const path = linux.paths.nameOf(file.hostFd);
  let fd = path === undefined || file.hasNoName()
    ? -ERRNO.ENOENT
    : linux.paths.open("/", path, hostFlags, 0, access);
  if (fd === -ERRNO.ENOENT && allows(file, flags)) {
    fd = openHost(`/proc/self/fd/${file.hostFd}`, hostFlags | O.closeOnExec);
  }
  // It is there, as the program knows that has it open.
  if (fd === OUTSIDE) return -ERRNO.EACCES;
  if (fd < 0) return fd;
  // O_PATH takes a pipe or a device of the host's, too.
  if (!(flags & O.path) && !HostPaths.isFileOrFolder(fd)) {
    close(fd);
    return -ERRNO.EACCES;
  }
  if (!isForVmm(fd)) return new HostFile(fd, status);
  close(fd);
  return -ERRNO.EMFILE;
}

/**
 * Opens once more what a descriptor stands for.
 *
 * @param flags what open(2) was passed @param status what the file then shows
 * @returns the file, or a negative errno
 */
export function openAgain(
  linux: Linux,
  file: OpenFile,
  flags: number,
  status: number,
): OpenFile | number {
  const both = O.create | O.exclusive;
  if ((flags & both) === both) return -ERRNO.EEXIST;
  if (file instanceof HostFile) {
    return openHostFile(linux, file, flags, status);
  }
  if (flags & O.directory && !file.isFolder) {
    return -ERRNO.ENOTDIR;
  }
  if (!allows(file, flags)) return -ERRNO.EACCES;
  if (file instanceof VirtualFile) return new VirtualFile(file, status);
  if (file instanceof DeviceFile) return new DeviceFile(file.path, status);
  // Of a pipe or the console, what is open is shared, its flags too.
  return file;
}
