/**
 * Opening a host file again as the program had it: its flags, its offset.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { close, fchmodat, fstat, seekTo } from "./host_calls.ts";
import { FilesError } from "./errors.ts";
import { entryAt, moveToEnd } from "./folder_entries.ts";
import type { HostFileState } from "./files_state.ts";
import { AT_FDCWD, O, S_IF } from "./host_constants.ts";
import { HostFile } from "./host_file.ts";
import { HostPaths } from "./host_paths.ts";
import { pathOfSaved } from "./path_bytes.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";

/** Flags that make or change a file when it is opened: not a second time. */
const ONCE = O.create | O.exclusive | O.truncate;

/** O_TMPFILE without the O_DIRECTORY that belongs to it. */
const TEMPORARY = O.temporary & ~O.directory;

/** The flags to open a file with again. */
export function flagsAgain(flags: number): number {
  return flags & TEMPORARY ? flags & ~(ONCE | O.temporary) : flags & ~ONCE;
}

/** Opens a file as the program had it. @throws {FilesError} */
export function openAgain(
  state: HostFileState,
  fd: number,
  paths: HostPaths,
): number {
  const mode = state.flags & O.accessMode;
  const access = {
    read: mode !== O.writeOnly,
    write: !(state.flags & O.path) && mode !== O.readOnly,
  };
  const path = pathOfSaved(state.path);
  const openWith: OpenWith = (flags) => paths.open("/", path, flags, 0, access);
  // To change its mode is to write it.
  const look = () => paths.open("/", path, O.path, 0, { write: true });
  const hostFd = openSomehow(openWith, flagsAgain(state.flags), look);
  if (hostFd < 0) throw cannotOpen(state, fd, hostFd);
  if (state.flags & O.path || HostPaths.isFileOrFolder(hostFd)) return hostFd;
  close(hostFd);
  throw new FilesError(
    "FILES_CHANGED",
    `${nameOf(state, fd)}: expected a file or a folder, found neither`,
  );
}

/** Opens a file with O_* flags; its result may be an errno. */
type OpenWith = (flags: number) => number;

/**
 * Opens a file without what it cannot be opened with any more.
 *
 * @param look opens it with O_PATH, if it may be changed
 */
export function openSomehow(
  openWith: OpenWith,
  flags: number,
  look: () => number = () => -ERRNO.EACCES,
): number {
  const found = openWith(flags);
  switch (found) {
    case -ERRNO.EINVAL: // this file system has no O_DIRECT
      return openWith(flags & ~O.direct);
    case -ERRNO.EPERM: // another user's
      return openWith(flags & ~O.noAccessTime);
    case -ERRNO.EACCES:
      return openAgainstMode(openWith, flags, look);
  }
  return found;
}

/**
 * Opens a file whose mode does not allow it: who made it could, when it was
 * made, and can now, if it is the same user.
 */
function openAgainstMode(
  openWith: OpenWith,
  flags: number,
  look: () => number,
): number {
  const there = look();
  if (there < 0) return -ERRNO.EACCES;
  const path = `/proc/self/fd/${there}`;
  const stat = new DataView(new ArrayBuffer(144));
  try {
    const looked = fstat(there, new Uint8Array(stat.buffer));
    const mode = stat.getUint32(24, true);
    if (looked < 0 || (mode & S_IF.mask) !== S_IF.regular) {
      return -ERRNO.EACCES;
    }
    const changed = fchmodat(AT_FDCWD, path, mode & 0o7777 | 0o600);
    if (changed < 0) return -ERRNO.EACCES;
    try {
      return openWith(flags);
    } finally {
      fchmodat(AT_FDCWD, path, mode & 0o7777);
    }
  } finally {
    close(there);
  }
}

/** Opens the program's file again, at its offset. */
export function hostFileAgain(
  state: HostFileState,
  fd: number,
  paths: HostPaths,
): HostFile {
  const hostFd = openAgain(state, fd, paths);
  try {
    return hostFile(state, fd, hostFd);
  } catch (error) {
    close(hostFd);
    throw error;
  }
}

/** The program's file, at its offset. */
export function hostFile(
  state: HostFileState,
  fd: number,
  hostFd: number,
): HostFile {
  if (!(state.flags & O.path)) seek(state, fd, hostFd);
  return new HostFile(hostFd, state.flags);
}

/** Moves a file to its offset at the save. @throws {FilesError} */
export function seek(state: HostFileState, fd: number, hostFd: number): void {
  if (state.isFolder && isAtEnd(state, hostFd)) {
    // Read to there: on ext4, one whose first read is at its end stays empty
    // when it is rewound. And another file system's end is elsewhere. No other
    // folder is read: a 9p one goes on behind what was read of it, wherever it
    // is moved then.
    moveToEnd(hostFd, state.offset);
    return;
  }
  if (seekTo(hostFd, state.offset)) return;
  throw new FilesError(
    "FILES_STATE",
    `${nameOf(state, fd)}: its offset cannot be ${state.offset}`,
  );
}

/** Whether a folder was listed to its end. */
function isAtEnd({ nextEntry, offset }: HostFileState, hostFd: number) {
  if (nextEntry) return nextEntry.length === 0;
  return offset !== 0n && entryAt(hostFd, offset)?.length === 0;
}
