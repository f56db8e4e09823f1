/**
 * What is said of files that cannot be restored.
 *
 * @module
 */

import { ERRNO, errnoName } from "../kvm/mod.ts";
import { OUTSIDE } from "./allowed_folders.ts";
import { FilesError } from "./errors.ts";
import type { HostFileState } from "./files_state.ts";
import { pathOfSaved, pathShown } from "./path_bytes.ts";

/** What opening gives where something else took a file's place. */
const NO_FILES: readonly number[] = [
  ERRNO.EISDIR,
  ERRNO.ELOOP,
  ERRNO.ENXIO,
  ERRNO.ENODEV,
];

/** The action that fails, as messages begin. */
export function nameOf(state: HostFileState, fd: number): string {
  const what = fd < 0 ? "a mapped file" : `descriptor ${fd}`;
  return `Cannot restore ${what} (${pathShown(pathOfSaved(state.path))})`;
}

/** Whether an errno says that the user does not allow it. */
export function isDenial(result: number): boolean {
  return [OUTSIDE, -ERRNO.EACCES, -ERRNO.EPERM].includes(result);
}

/** The name of an errno, as users know it. */
export function whyOf(result: number): string {
  return errnoName(result === OUTSIDE ? ERRNO.EACCES : -result);
}

/** A host file cannot be opened: why, and what to do. */
export function cannotOpen(
  state: HostFileState,
  fd: number,
  result: number,
): FilesError {
  const why = whyOf(result);
  if (result === -ERRNO.ENOENT || result === -ERRNO.ENOTDIR) {
    return new FilesError(
      "FILES_MISSING",
      `${
        nameOf(state, fd)
      }: expected a file of ${state.identity.sizeBytes} bytes, found none (${why})`,
      {
        hint: state.isCarried
          ? "the image carries its content: restore with --files=carry"
          : "put it back where it was, or save with --carry-files",
      },
    );
  }
  const isDenied = isDenial(result);
  return new FilesError(
    "FILES_DENIED",
    `${nameOf(state, fd)}: it ${
      isDenied ? "may not" : "cannot"
    } be opened (${why})`,
    {
      hint: isDenied
        ? "allow its folder with --allow-read and --allow-write"
        : NO_FILES.includes(-result)
        ? "put the file back where it was"
        : undefined,
    },
  );
}

/** What an image says of open files makes no sense. */
export function malformed(what: string): FilesError {
  return new FilesError("FILES_STATE", `Cannot restore "fd-table": ${what}`);
}
