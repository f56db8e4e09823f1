/**
 * Where a file that an image carries goes: what is there now, and whether it
 * may be replaced by another one of its name.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { sameBytes } from "../state/mod.ts";
import { FilesError } from "./errors.ts";
import { type FileIdentity, identityOf } from "./file_identity.ts";
import type { HostFileState } from "./files_state.ts";
import { close, fstat, fstatat, statx } from "./host_calls.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O,
  S_IF,
} from "./host_constants.ts";
import { type Attribute, attributesOf } from "./kept_attributes.ts";
import type { HostPaths } from "./host_paths.ts";
import { pathOfSaved } from "./path_bytes.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";

/** From linux/stat.h: the file is where something is mounted. */
const STATX_ATTR_MOUNT_ROOT = 0x2000n;

/** What is kept of a file that is replaced. */
export interface FileOwnership {
  /** Permission bits. */
  readonly mode: number;
  /** The user who owns it. */
  readonly uid: number;
  /** The group that owns it. */
  readonly gid: number;
  /** Its extended attributes, of those that are kept. */
  readonly attributes: readonly Attribute[];
}

/** Where a file goes. */
export interface CarriedPlace {
  /** Its path, a character a byte; no symbolic link is at its end. */
  readonly path: string;
  /** The file system, as stat(2) numbers it. */
  readonly device: bigint;
  /** What is kept of the file that is there; absent: none is. */
  readonly ownership?: FileOwnership;
  /** Whether the file that is there has the content already. */
  readonly isSame: boolean;
}

/**
 * Finds the place of a file that the image carries.
 *
 * @throws {FilesError} when it may not or cannot be put there
 */
export function placeOf(
  state: HostFileState,
  fd: number,
  paths: HostPaths,
): CarriedPlace {
  const path = pathOfSaved(state.path);
  // What may not be written is not replaced either.
  const flags = O.writeOnly | O.largeFile;
  const there = paths.open("/", path, flags, 0, { write: true });
  if (there < 0 && there !== -ERRNO.ENOENT) {
    if (isThere(state, path, paths)) return { path, device: 0n, isSame: true };
    throw cannotOpen(state, fd, there);
  }
  try {
    const parent = statOfParent(state, fd, path, paths);
    if (there < 0) {
      if (!parent.isLink) {
        return { path, device: parent.device, isSame: false };
      }
      throw cannotReplace(state, fd, "a symbolic link that leads nowhere");
    }
    const existing = examine(state, fd, there);
    if (!parent.isLink) return { path, device: parent.device, ...existing };
    // The link stays: the file it leads to is replaced.
    const real = paths.nameOf(there);
    if (real === undefined) throw cannotOpen(state, fd, -ERRNO.ENOENT);
    const { device } = statOfParent(state, fd, real, paths);
    return { path: real, device, ...existing };
  } finally {
    if (there >= 0) close(there);
  }
}

/** Whether a file that can only be read has the content already. */
function isThere(
  { identity }: HostFileState,
  path: string,
  paths: HostPaths,
): boolean {
  const there = paths.open("/", path, O.largeFile, 0, { read: true });
  if (there < 0) return false;
  try {
    const found = identityOf(there, identity.sizeBytes);
    return typeof found !== "number" && found.isRegular &&
      hasContent(found.identity, identity);
  } finally {
    close(there);
  }
}

/** Whether two files are known to have the same content. */
function hasContent(one: FileIdentity, other: FileIdentity): boolean {
  return one.sizeBytes === other.sizeBytes && one.digest !== null &&
    other.digest !== null && sameBytes(one.digest, other.digest);
}

/** What holds the entry `path`, and whether that is a symbolic link. */
function statOfParent(
  state: HostFileState,
  fd: number,
  path: string,
  paths: HostPaths,
): { device: bigint; isLink: boolean } {
  const parent = paths.openParent("/", path, { write: true });
  if (typeof parent === "number") throw cannotOpen(state, fd, parent);
  try {
    const stat = new DataView(new ArrayBuffer(144));
    const bytes = new Uint8Array(stat.buffer);
    const own = fstat(parent.fd, bytes);
    if (own < 0) throw cannotOpen(state, fd, own);
    const device = stat.getBigUint64(0, true);
    const { fd: folder, name } = parent;
    const entry = fstatat(folder, name, bytes, AT_SYMLINK_NOFOLLOW);
    const type = entry < 0 ? 0 : stat.getUint32(24, true) & S_IF.mask;
    return { device, isLink: type === S_IF.link };
  } finally {
    close(parent.fd);
  }
}

/** Looks at the file that is there. @throws {FilesError} if it has to stay */
function examine(
  state: HostFileState,
  fd: number,
  there: number,
): Pick<CarriedPlace, "ownership" | "isSame"> {
  const expected = state.identity;
  const found = identityOf(there, expected.sizeBytes);
  if (typeof found === "number") throw cannotOpen(state, fd, found);
  if (!found.isRegular) {
    throw new FilesError(
      "FILES_CHANGED",
      `${
        nameOf(state, fd)
      }: expected a file, found a folder, a pipe or a device`,
    );
  }
  const isSame = hasContent(found.identity, expected);
  const stat = new DataView(new ArrayBuffer(144));
  const got = fstat(there, new Uint8Array(stat.buffer));
  if (got < 0) throw cannotOpen(state, fd, got);
  // Written in place it could be left half written, and another file of this
  // name would not be the one that its other names lead to.
  if (!isSame && stat.getBigUint64(16, true) > 1n) {
    throw cannotReplace(state, fd, "a file that has other names (hard links)");
  }
  if (!isSame && isMountPoint(there)) {
    throw cannotReplace(state, fd, "a file that is mounted by itself");
  }
  const attributes = isSame ? [] : attributesOf(there);
  if (typeof attributes === "number") {
    throw cannotOpen(state, fd, attributes);
  }
  const ownership = {
    attributes,
    mode: stat.getUint32(24, true) & 0o7777,
    uid: stat.getUint32(28, true),
    gid: stat.getUint32(32, true),
  };
  return { ownership, isSame };
}

function isMountPoint(fd: number): boolean {
  const buffer = new DataView(new ArrayBuffer(256));
  const bytes = new Uint8Array(buffer.buffer);
  if (statx(fd, "", AT_EMPTY_PATH, 0, bytes) < 0) return false;
  return (buffer.getBigUint64(8, true) & STATX_ATTR_MOUNT_ROOT) !== 0n;
}

function cannotReplace(
  state: HostFileState,
  fd: number,
  found: string,
): FilesError {
  return new FilesError(
    "FILES_CHANGED",
    `${
      nameOf(state, fd)
    }: expected a file that can be replaced as a whole, found ${found}`,
    {
      hint:
        "remove it, or restore with --files=trust to go on with what is there",
    },
  );
}
