/**
 * The content of a carried file on the disk it belongs on, not yet in place.
 *
 * @module
 */

import { ERRNO, errnoName } from "../kvm/mod.ts";
import { cannotFill, fill } from "./carried_content.ts";
import { FilesError } from "./errors.ts";
import type { CarriedPlace, FileOwnership } from "./carried_place.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import {
  close,
  fchmodat,
  fchownat,
  fsync,
  open,
  unlinkat,
} from "./host_calls.ts";
import { AT_FDCWD, O } from "./host_constants.ts";
import type { HostPaths } from "./host_paths.ts";
import { setAttributes } from "./kept_attributes.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";
import type { Steps } from "./steps.ts";

/** What opening gives where no file can be without a name (open(2)). */
const NO_TEMPORARY: readonly number[] = [
  ERRNO.EOPNOTSUPP,
  ERRNO.EISDIR,
  ERRNO.EINVAL,
];

/** A name that nothing else has, hidden, for as long as it takes. */
export function temporaryName(): string {
  return `.scratchvm-${crypto.randomUUID()}`;
}

/** A file with what the image carries. */
export interface CarriedCopy {
  /** The host's descriptor of it. */
  readonly fd: number;
  /**
   * Its name beside the place, on a file system where every file has one;
   * otherwise it has none, and is gone when it is closed.
   */
  readonly name?: string;
}

/**
 * Writes a copy on the file system of its place: whether there is room is known
 * before anything is changed.
 *
 * @throws {FilesError} when it cannot be written; nothing is left then
 */
export function* writeCopy(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  place: CarriedPlace,
  paths: HostPaths,
): Steps<CarriedCopy> {
  const parent = paths.openParent("/", place.path, { write: true });
  if (typeof parent === "number") throw cannotOpen(state, fd, parent);
  try {
    const folder = `/proc/self/fd/${parent.fd}`;
    const flags = O.writeOnly | O.largeFile | O.closeOnExec;
    let own = open(folder, flags | O.temporary, 0o666);
    let name: string | undefined;
    if (NO_TEMPORARY.includes(-own)) {
      name = temporaryName();
      const path = `${folder}/${name}`;
      own = open(path, flags | O.create | O.exclusive | O.noFollow, 0o666);
    }
    if (own < 0) throw cannotFill(state, fd, errnoName(-own));
    try {
      yield* fill(state, fd, content, own);
      if (place.ownership) keep(state, fd, own, place.ownership);
      // Some file systems say only now that there is no room.
      const synced = fsync(own, false);
      if (synced < 0) throw cannotFill(state, fd, errnoName(-synced));
    } catch (error) {
      close(own);
      if (name !== undefined) unlinkat(parent.fd, name, 0);
      throw error;
    }
    return { fd: own, name };
  } finally {
    close(parent.fd);
  }
}

/** Gives a copy the mode and the owner of the file that it replaces. */
function keep(
  state: HostFileState,
  fd: number,
  copy: number,
  { mode, uid, gid, attributes }: FileOwnership,
): void {
  const path = `/proc/self/fd/${copy}`;
  // First the owner: to change it clears some bits of the mode.
  const owned = fchownat(AT_FDCWD, path, uid, gid, 0);
  const chosen = owned < 0 ? owned : fchmodat(AT_FDCWD, path, mode);
  const result = chosen < 0 ? chosen : setAttributes(copy, attributes);
  if (result >= 0) return;
  throw new FilesError(
    "FILES_DENIED",
    `${
      nameOf(state, fd)
    }: its owner ${uid}:${gid}, mode and attributes cannot be kept (${
      errnoName(-result)
    })`,
    { hint: "restore as its owner, or remove it" },
  );
}
