/**
 * Whether a host file is as it was at the save.
 *
 * @module
 */

import { sameBytes } from "../state/mod.ts";
import { FilesError } from "./errors.ts";
import { entryAt } from "./folder_entries.ts";
import { identityOf } from "./file_identity.ts";
import type { HostFileState } from "./files_state.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";

/** Compares a file with what it was; returns whether it is longer now. @throws {FilesError} */
export function checkIdentity(
  state: HostFileState,
  fd: number,
  hostFd: number,
): boolean {
  const expected = state.identity;
  const changed = (what: string, found: string) =>
    new FilesError(
      "FILES_CHANGED",
      `${nameOf(state, fd)}: expected ${what}, found ${found}`,
      {
        hint: "restore with --files=trust to go on with the file as it is now",
      },
    );
  const found = identityOf(hostFd, expected.sizeBytes);
  if (typeof found === "number") throw cannotOpen(state, fd, found);
  if (found.isFolder !== state.isFolder) {
    throw changed(
      state.isFolder ? "a folder" : "a file",
      found.isFolder ? "a folder" : "a file",
    );
  }
  if (state.isFolder) {
    checkNextEntry(state, hostFd, changed);
    return false;
  }
  if (!found.isRegular) throw changed("a file", "a pipe or a device");
  const { identity } = found;
  if (identity.sizeBytes < expected.sizeBytes) {
    throw changed(
      `at least ${expected.sizeBytes} bytes`,
      `${identity.sizeBytes} bytes: it became shorter`,
    );
  }
  if (expected.digest) {
    if (!identity.digest || !sameBytes(identity.digest, expected.digest)) {
      throw changed(
        `content with SHA-256 ${hex(expected.digest)}`,
        identity.digest ? hex(identity.digest) : "content that cannot be read",
      );
    }
  } else if (
    identity.modifiedNs !== expected.modifiedNs ||
    identity.sizeBytes !== expected.sizeBytes
  ) {
    throw changed(
      `${expected.sizeBytes} bytes changed last at ${expected.modifiedNs} ns`,
      `${identity.sizeBytes} bytes changed last at ${identity.modifiedNs} ns`,
    );
  }
  return identity.sizeBytes > expected.sizeBytes;
}

/**
 * Offsets of folders are of their file system: on another, the listing would
 * not go on where it was.
 */
function checkNextEntry(
  { nextEntry, offset }: HostFileState,
  hostFd: number,
  changed: (what: string, found: string) => FilesError,
): void {
  // To its end there is always a way.
  if (!nextEntry || nextEntry.length === 0) return;
  const found = entryAt(hostFd, offset);
  if (found && sameBytes(found, nextEntry)) return;
  const shown = (name?: Uint8Array) =>
    name?.length
      ? `"${new TextDecoder().decode(name)}" to be listed next`
      : "nothing";
  throw changed(shown(nextEntry), shown(found));
}

function hex(digest: Uint8Array): string {
  return `${digest.toHex().slice(0, 16)}…`;
}
