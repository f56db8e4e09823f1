/**
 * Opening a host file again as the program had it: its flags, its offset.
 *
 * @module
 */

import { close, getdents64, open, seekTo } from "./host_calls.ts";
import { FilesError } from "./errors.ts";
import type { HostFileState } from "./files_state.ts";
import { O } from "./host_constants.ts";
import { HostFile } from "./host_file.ts";
import type { HostPaths } from "./host_paths.ts";
import { pathOfSaved } from "./path_bytes.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";

/** Room for some entries of a folder: one is of up to 280 bytes. */
const ENTRIES_BYTES = 4096;

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
  const hostFd = paths.open(
    "/",
    pathOfSaved(state.path),
    flagsAgain(state.flags),
    0,
    {
      read: mode !== O.writeOnly,
      write: !(state.flags & O.path) && mode !== O.readOnly,
    },
  );
  if (hostFd < 0) throw cannotOpen(state, fd, hostFd);
  return hostFd;
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
  if (state.isFolder) readAtEnd(hostFd, state.offset);
  if (seekTo(hostFd, state.offset)) return;
  throw new FilesError(
    "FILES_STATE",
    `${nameOf(state, fd)}: its offset cannot be ${state.offset}`,
  );
}

/**
 * Reads a folder once, if it is to be at its end: on ext4, one whose first read
 * is there stays empty when it is rewound. No other folder is read: a 9p one
 * goes on behind what was read of it, wherever it is moved then.
 */
function readAtEnd(hostFd: number, end: bigint): void {
  if (!isAtEnd(hostFd, end)) return;
  const buffer = new Uint8Array(ENTRIES_BYTES);
  getdents64(hostFd, buffer);
  seekTo(hostFd, end);
  while (getdents64(hostFd, buffer) > 0);
}

/** Whether nothing follows in a folder, as an open file of its own sees it. */
function isAtEnd(hostFd: number, offset: bigint): boolean {
  const flags = O.directory | O.closeOnExec;
  if (offset === 0n) return false;
  const own = open(`/proc/self/fd/${hostFd}`, flags);
  if (own < 0) return false;
  try {
    return seekTo(own, offset) &&
      getdents64(own, new Uint8Array(ENTRIES_BYTES)) === 0;
  } finally {
    close(own);
  }
}
