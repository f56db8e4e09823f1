/**
 * Opening a host file again after a thaw, and checking that it is the same.
 *
 * @module
 */

import { ERRNO, errnoName } from "../kvm/mod.ts";
import { sameBytes } from "../state/mod.ts";
import type { ScriptConsole } from "./console.ts";
import { FilesError } from "./errors.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import type { HostPaths } from "./host_paths.ts";
import { type FileIdentity, identityOf } from "./file_identity.ts";
import {
  close,
  ftruncate,
  getdents64,
  memfdCreate,
  open as openHost,
  seekTo,
} from "./host_calls.ts";
import { O } from "./host_constants.ts";
import { linkDescriptor } from "./link_calls.ts";
import { pathOf } from "./path_bytes.ts";
import { HostFile } from "./host_file.ts";
import type { OpenFile } from "./open_file.ts";
import type { PluginFileState } from "./plugin_file.ts";
import { atOnce, type Steps } from "./steps.ts";

/**
 * What to do about a file that is not as it was at the save: refuse it; take it
 * as it is; cut it back to its length then; or write the content that the image
 * carries.
 */
export type FilesPolicy = "check" | "trust" | "rollback" | "carry";

/** What a restore of files works with. */
export interface RestoreFilesOptions {
  /** The host's files that the program may reach. */
  readonly paths: HostPaths;
  /** A script's console; absent: the VMM's own descriptors. */
  readonly console?: ScriptConsole;
  /** What to do about files that changed. */
  readonly policy: FilesPolicy;
  /** Opens again a file of a plugin; `undefined` where there is none such. */
  readonly reopen?: (state: PluginFileState) => OpenFile | undefined;
}

/**
 * A file that was found as it must be. Restoring may change it (cut it back,
 * write what the image carries), but only once every other was found so too: a
 * restore that is refused changes nothing.
 */
export interface Checked {
  /** Makes the changes, and gives the file; called once. */
  finish(): Steps<OpenFile>;
  /** Gives back what is held, if it was not finished. */
  cancel(): void;
}

/** A file that needs no change. */
export function asItIs(file: OpenFile): Checked {
  return {
    // deno-lint-ignore require-yield -- there is nothing to do
    *finish() {
      return file;
    },
    cancel: () => file.close(),
  };
}

/** Flags that make or change a file when it is opened: not a second time. */
const ONCE = O.create | O.exclusive | O.truncate;

/** O_TMPFILE without the O_DIRECTORY that belongs to it. */
const TEMPORARY = O.temporary & ~O.directory;

/** What opening gives where something else took a file's place. */
const NO_FILES: readonly number[] = [
  ERRNO.EISDIR,
  ERRNO.ELOOP,
  ERRNO.ENXIO,
  ERRNO.ENODEV,
];

/** What opening gives where no file can be without a name (open(2)). */
const NO_TEMPORARY: readonly number[] = [
  ERRNO.EOPNOTSUPP,
  ERRNO.EISDIR,
  ERRNO.EINVAL,
];

/** The flags to open a file with again. */
function flagsAgain(flags: number): number {
  return flags & TEMPORARY ? flags & ~(ONCE | O.temporary) : flags & ~ONCE;
}

/**
 * Opens a file again where it was, and checks it.
 *
 * @param state what the image says
 * @param fd the program's descriptor, for messages
 * @param content the parts with its content, if the image carries it
 * @param unlinked the files without a name that are there already
 * @throws {FilesError} naming descriptor, path, expected and found
 */
export function* reopenHostFile(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  options: RestoreFilesOptions,
  unlinked: UnlinkedFiles,
): Steps<Checked> {
  if (state.isUnlinked) {
    return asItIs(yield* reopenUnlinked(state, fd, content, unlinked));
  }
  const { policy } = options;
  if (policy === "carry" && state.isCarried) {
    return yield* checkCarried(state, fd, content, options);
  }
  const hostFd = openAgain(state, fd, options);
  try {
    const isLonger = policy !== "trust" && check(state, fd, hostFd);
    const file = hostFile(state, fd, hostFd);
    if (!isLonger || policy !== "rollback") return asItIs(file);
    return {
      // deno-lint-ignore require-yield -- cutting back takes no time
      *finish() {
        cutBack(state, fd, options);
        return file;
      },
      cancel: () => file.close(),
    };
  } catch (error) {
    close(hostFd);
    throw error;
  }
}

/**
 * Checks whether a host file that has a name could be opened again here.
 *
 * @throws {FilesError} when not, as {@linkcode reopenHostFile} does
 */
export function reopenable(
  state: HostFileState,
  fd: number,
  options: RestoreFilesOptions,
): void {
  const isCarried = options.policy === "carry" && state.isCarried;
  if (isCarried) return placeFor(state, fd, [], options).cancel();
  using unlinked = new UnlinkedFiles();
  atOnce(reopenHostFile(state, fd, [], options, unlinked)).cancel();
}

/** Checks that what the image carries of a file can be put in its place. */
function* checkCarried(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  options: RestoreFilesOptions,
): Steps<Checked> {
  // All of it must be there before what the file holds now is given up.
  for (const _ of carried(state, fd, content)) yield;
  const place = placeFor(state, fd, content, options);
  try {
    return place.isFree
      ? yield* placeNew(state, fd, content, place, options)
      : place;
  } catch (error) {
    place.cancel();
    throw error;
  }
}

/**
 * Writes a file that is not there, without a name as yet: a disk that is full
 * is found out before anything is changed.
 */
function* placeNew(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  place: Place,
  options: RestoreFilesOptions,
): Steps<Checked> {
  const { paths } = options;
  const parentOf = () => {
    const path = pathOf(state.path);
    const parent = paths.openParent("/", path, { write: true });
    if (typeof parent === "number") throw cannotOpen(state, fd, parent);
    return parent;
  };
  const parent = parentOf();
  const flags = O.temporary | O.writeOnly | O.largeFile | O.closeOnExec;
  const nameless = openHost(`/proc/self/fd/${parent.fd}`, flags, 0o666);
  close(parent.fd);
  if (NO_TEMPORARY.includes(-nameless)) return place;
  if (nameless < 0) throw cannotOpen(state, fd, nameless);
  try {
    yield* fill(state, fd, content, nameless);
  } catch (error) {
    close(nameless);
    throw error;
  }
  return {
    *finish() {
      let linked: number;
      try {
        const { fd: parentFd, name } = parentOf();
        linked = linkDescriptor(nameless, parentFd, name);
        close(parentFd);
      } finally {
        close(nameless);
      }
      // Another descriptor of the program's has made it, or somebody else.
      if (linked < 0) return yield* place.finish();
      return hostFileAgain(state, fd, options);
    },
    cancel: () => close(nameless),
  };
}

/** The place of a file that the image carries. */
interface Place extends Checked {
  /** Whether nothing is there. */
  readonly isFree: boolean;
}

/** Finds the place of a file that the image carries. */
function placeFor(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  options: RestoreFilesOptions,
): Place {
  const { paths } = options;
  const path = pathOf(state.path);
  const flags = O.writeOnly | O.largeFile;
  let there = paths.open("/", path, flags, 0, { write: true });
  if (there >= 0) {
    const found = identityOf(there, 0);
    if (typeof found === "number" || !found.isRegular) {
      close(there);
      throw new FilesError(
        "FILES_CHANGED",
        `${
          name(state, fd)
        }: expected a file, found a folder, a pipe or a device`,
      );
    }
  } else if (there === -ERRNO.ENOENT) {
    const parent = paths.openParent("/", path, { write: true });
    if (typeof parent === "number") throw cannotOpen(state, fd, parent);
    close(parent.fd);
  } else throw cannotOpen(state, fd, there);
  return {
    isFree: there < 0,
    *finish() {
      const own = there >= 0
        ? there
        : paths.open("/", path, flags | O.create, 0o666, { write: true });
      if (own < 0) throw cannotOpen(state, fd, own);
      there = -1;
      try {
        ftruncate(own, 0);
        yield* fill(state, fd, content, own);
      } finally {
        close(own);
      }
      return hostFileAgain(state, fd, options);
    },
    cancel() {
      if (there >= 0) close(there);
    },
  };
}

/** Opens the program's file again, at its offset. */
function hostFileAgain(
  state: HostFileState,
  fd: number,
  options: RestoreFilesOptions,
): HostFile {
  const hostFd = openAgain(state, fd, options);
  try {
    return hostFile(state, fd, hostFd);
  } catch (error) {
    close(hostFd);
    throw error;
  }
}

/** The program's file, at its offset. */
function hostFile(state: HostFileState, fd: number, hostFd: number): HostFile {
  if (!(state.flags & O.path)) seek(state, fd, hostFd);
  return new HostFile(hostFd, state.flags);
}

function name(state: HostFileState, fd: number): string {
  return `Cannot restore descriptor ${fd} (${state.path})`;
}

/** Opens a file as the program had it. @throws {FilesError} */
function openAgain(
  state: HostFileState,
  fd: number,
  { paths }: RestoreFilesOptions,
): number {
  const mode = state.flags & O.accessMode;
  const hostFd = paths.open(
    "/",
    pathOf(state.path),
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

function cannotOpen(
  state: HostFileState,
  fd: number,
  result: number,
): FilesError {
  const why = errnoName(-result);
  if (result === -ERRNO.ENOENT || result === -ERRNO.ENOTDIR) {
    return new FilesError(
      "FILES_MISSING",
      `${
        name(state, fd)
      }: expected a file of ${state.identity.sizeBytes} bytes, found none (${why})`,
      {
        hint: state.isCarried
          ? "the image carries its content: restore with --files=carry"
          : "put it back where it was, or save with --carry-files",
      },
    );
  }
  const isDenied = result === -ERRNO.EACCES || result === -ERRNO.EPERM;
  return new FilesError(
    "FILES_DENIED",
    `${name(state, fd)}: it ${
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

/** Compares a file with what it was; returns whether it is longer now. */
function check(state: HostFileState, fd: number, hostFd: number): boolean {
  const expected = state.identity;
  const changed = (what: string, found: string) =>
    new FilesError(
      "FILES_CHANGED",
      `${name(state, fd)}: expected ${what}, found ${found}`,
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
  if (state.isFolder) return false;
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

/** Cuts a file back to its length at the save. */
function cutBack(
  state: HostFileState,
  fd: number,
  { paths }: RestoreFilesOptions,
): void {
  const { sizeBytes } = state.identity;
  // A descriptor of its own: the program's may be for reading only.
  const flags = O.writeOnly | O.largeFile;
  const own = paths.open("/", pathOf(state.path), flags, 0, { write: true });
  const result = own < 0 ? own : ftruncate(own, sizeBytes);
  if (own >= 0) close(own);
  if (result >= 0) return;
  const isDenied = result === -ERRNO.EACCES || result === -ERRNO.EPERM;
  throw new FilesError(
    "FILES_DENIED",
    `${name(state, fd)}: it cannot be cut back to ${sizeBytes} bytes (${
      errnoName(-result)
    })`,
    isDenied ? { hint: "allow its folder with --allow-write" } : {},
  );
}

function hex(digest: Uint8Array): string {
  return `${digest.toHex().slice(0, 16)}…`;
}

function seek(state: HostFileState, fd: number, hostFd: number): void {
  // ext4: a folder whose first read is at its end stays empty when it is
  // rewound; one that was read before does not.
  if (state.isFolder) getdents64(hostFd, new Uint8Array(4096));
  if (seekTo(hostFd, state.offset)) return;
  throw new FilesError(
    "FILES_STATE",
    `${name(state, fd)}: its offset cannot be ${state.offset}`,
  );
}

/** The bytes that the image carries, in order, checked against the size. */
function* carried(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
): Generator<{ offset: number; bytes: Uint8Array }> {
  let offset = 0;
  for (const part of content) {
    if (part.state.part !== "content" || part.state.offset !== offset) break;
    const bytes = part.data();
    yield { offset, bytes };
    offset += bytes.length + part.state.zeroBytes;
  }
  if (offset !== state.identity.sizeBytes) {
    throw new FilesError(
      "FILES_STATE",
      `${
        name(state, fd)
      }: the image carries ${offset} of its ${state.identity.sizeBytes} bytes`,
    );
  }
}

function cannotFill(
  state: HostFileState,
  fd: number,
  cause: unknown,
): FilesError {
  const why = cause instanceof Error ? cause.message : `${cause}`;
  return new FilesError(
    "FILES_IO",
    `${name(state, fd)}: what the image carries cannot be written: ${why}`,
    { hint: "make room on its disk", cause },
  );
}

/** Gives a file, which is empty, the content that the image carries. */
function* fill(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  hostFd: number,
): Steps<void> {
  for (const { offset, bytes } of carried(state, fd, content)) {
    try {
      using file = Deno.openSync(`/proc/self/fd/${hostFd}`, { write: true });
      file.seekSync(offset, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) {
        done += file.writeSync(bytes.subarray(done));
      }
    } catch (cause) {
      throw cannotFill(state, fd, cause);
    }
    yield;
  }
  // What is left at the end is zeros.
  const result = ftruncate(hostFd, state.identity.sizeBytes);
  if (result < 0) throw cannotOpen(state, fd, result);
}

/** Files that have no name any more, in memory: one, however often opened. */
export class UnlinkedFiles implements Disposable {
  readonly #fds = new Map<string, number>();

  /**
   * The host's descriptor of the file with this identity at the save.
   *
   * @param make makes it, if it is not there yet; its result may be an errno
   */
  *get(identity: FileIdentity, make: () => Steps<number>): Steps<number> {
    const key = `${identity.device}:${identity.inode}`;
    const there = this.#fds.get(key);
    if (there !== undefined) return there;
    const made = yield* make();
    if (made >= 0) this.#fds.set(key, made);
    return made;
  }

  /** Closes them: those that the program has stay. */
  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) close(fd);
    this.#fds.clear();
  }
}

/** A file that had no name: its content comes back in memory. */
function* reopenUnlinked(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  unlinked: UnlinkedFiles,
): Steps<HostFile> {
  const memory = yield* unlinked.get(state.identity, function* () {
    const made = memfdCreate("scratchvm");
    if (made < 0) return made;
    try {
      yield* fill(state, fd, content, made);
      return made;
    } catch (error) {
      close(made);
      throw error;
    }
  });
  if (memory < 0) throw cannotOpen(state, fd, memory);
  const flags = (flagsAgain(state.flags) & ~(O.directory | O.noFollow)) |
    O.closeOnExec;
  const hostFd = openHost(`/proc/self/fd/${memory}`, flags);
  if (hostFd < 0) throw cannotOpen(state, fd, hostFd);
  try {
    if (!(state.flags & O.path)) seek(state, fd, hostFd);
    return new HostFile(hostFd, state.flags, state.path);
  } catch (error) {
    close(hostFd);
    throw error;
  }
}
