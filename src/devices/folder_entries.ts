/**
 * Looking at what a folder has to list, without moving who lists it.
 *
 * @module
 */

import { close, getdents64, open, seekTo } from "./host_calls.ts";
import { O } from "./host_constants.ts";

/** Room for some entries of a folder, bytes. */
const ENTRIES_BYTES = 4096;

/** Where the name is in a `struct linux_dirent64` (getdents64(2)). */
const NAME_AT = 19;

/** Most bytes of a name, on any file system (FUSE_NAME_MAX). */
export const MAX_NAME_BYTES = 1024;

/**
 * The name of the entry that follows at an offset of a folder, as an open file
 * of its own sees it: no bytes at the end; undefined where it cannot be known.
 */
export function entryAt(
  hostFd: number,
  offset: bigint,
): Uint8Array<ArrayBuffer> | undefined {
  const flags = O.directory | O.closeOnExec;
  const own = open(`/proc/self/fd/${hostFd}`, flags);
  if (own < 0) return undefined;
  try {
    const buffer = new Uint8Array(ENTRIES_BYTES);
    const got = seekTo(own, offset) ? getdents64(own, buffer) : -1;
    if (got < 0) return undefined;
    return buffer.slice(NAME_AT, got && buffer.indexOf(0, NAME_AT));
  } finally {
    close(own);
  }
}

/**
 * Moves a folder, which was not read yet, to its end.
 *
 * @param near where that may be
 */
export function moveToEnd(hostFd: number, near: bigint): void {
  const buffer = new Uint8Array(ENTRIES_BYTES);
  getdents64(hostFd, buffer);
  seekTo(hostFd, near);
  while (getdents64(hostFd, buffer) > 0);
}
