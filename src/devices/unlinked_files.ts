/**
 * Files that had no name at the save: their content comes back in memory. And
 * folders that were removed.
 *
 * @module
 */

import { cannotFill, fill } from "./carried_content.ts";
import { FilesError } from "./errors.ts";
import type { FileIdentity } from "./file_identity.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import { addSeals, close, fstat, memfdCreate, open } from "./host_calls.ts";
import { memfdWithFlags } from "./space_calls.ts";
import { O } from "./host_constants.ts";
import { HostFile } from "./host_file.ts";
import { pathOf, pathOfSaved } from "./path_bytes.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";
import { flagsAgain, openSomehow, seek } from "./restored_file.ts";
import type { Steps } from "./steps.ts";

/**
 * Seals (linux/fcntl.h): no more can be added; nobody may write; nobody may map
 * it for writing, but who has; it may not become executable.
 */
const F_SEAL = { seal: 1, write: 8, futureWrite: 0x10, exec: 0x20 } as const;

/** memfd_create(2): it can be sealed, and is so, as none that is executable. */
const MFD_NO_EXEC_SEAL = 0xb;

/** Whether a file is sealed against all writing. */
export function isSealed({ seals }: HostFileState): boolean {
  return ((seals ?? 0) & F_SEAL.write) !== 0;
}

/** Of the seals of a file, those that are added once it is mapped again. */
function lateSeals({ seals }: HostFileState): number {
  const late = F_SEAL.futureWrite | F_SEAL.seal;
  return seals !== null && seals & F_SEAL.futureWrite ? seals & late : 0;
}

/** Makes a file in memory that gets these seals. */
function make({ seals }: HostFileState): number {
  // To seal one that is executable so is to seal it against writing, too.
  return (seals ?? 0) & F_SEAL.exec
    ? memfdWithFlags("scratchvm", MFD_NO_EXEC_SEAL)
    : memfdCreate("scratchvm");
}

/** Makes a folder that has no name any more: nothing can ever be in it. */
function makeRemovedFolder(state: HostFileState, fd: number): number {
  let path: string;
  try {
    path = Deno.makeTempDirSync();
  } catch (cause) {
    throw cannotFill(state, fd, cause);
  }
  try {
    return open(pathOf(path), O.directory | O.closeOnExec);
  } finally {
    Deno.removeSync(path);
  }
}

/** Files that have no name any more, in memory: one, however often opened. */
export class UnlinkedFiles implements Disposable {
  readonly #fds = new Map<string, number>();
  readonly #mostBytes: number;
  readonly #mostEmptyBytes: number;
  #bytes = 0;
  #emptyBytes = 0;

  /**
   * @param mostBytes how much an image may have of them
   * @param mostEmptyBytes how much of them may be empty: a program can fill it,
   * in the host's memory
   */
  constructor(mostBytes = Infinity, mostEmptyBytes = Infinity) {
    this.#mostBytes = mostBytes;
    this.#mostEmptyBytes = mostEmptyBytes;
  }

  /**
   * Counts what the image has of a file.
   *
   * @throws {FilesError} when it is too much
   */
  count(state: HostFileState, fd: number, bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#mostBytes) return;
    throw new FilesError(
      "FILES_STATE",
      `${
        nameOf(state, fd)
      }: files without a name come back in memory, where this VM's may have ${this.#mostBytes} bytes`,
      {
        hint: "allow more: --memory of vm receive, maxMemoryBytes of a script",
      },
    );
  }

  /** Counts what is empty of a file. @returns whether it is too much */
  hasTooMuchEmpty(fd: number): boolean {
    const bytes = new Uint8Array(144);
    if (fstat(fd, bytes) < 0) return true;
    const stat = new DataView(bytes.buffer);
    const size = Number(stat.getBigInt64(48, true));
    const held = Number(stat.getBigInt64(64, true)) * 512;
    this.#emptyBytes += Math.max(size - held, 0);
    return this.#emptyBytes > this.#mostEmptyBytes;
  }

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

/**
 * A file that had no name: its content comes back in memory. A folder that was
 * removed is one again.
 */
export function* reopenUnlinked(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  unlinked: UnlinkedFiles,
): Steps<HostFile> {
  const late = lateSeals(state);
  const memory = yield* unlinked.get(state.identity, function* () {
    if (state.isFolder) return makeRemovedFolder(state, fd);
    const made = make(state);
    if (made < 0) return made;
    try {
      yield* fill(
        state,
        fd,
        content,
        made,
        (bytes) => unlinked.count(state, fd, bytes),
      );
      if (unlinked.hasTooMuchEmpty(made)) {
        throw new FilesError(
          "FILES_STATE",
          `${
            nameOf(state, fd)
          }: files without a name are longer than the VM's memory has room for`,
        );
      }
      // One that was no such file cannot be sealed either.
      const seals = state.seals ?? F_SEAL.seal;
      const sealed = addSeals(made, seals & ~late);
      if (sealed < 0) throw cannotOpen(state, fd, sealed);
      return made;
    } catch (error) {
      close(made);
      throw error;
    }
  });
  if (memory < 0) throw cannotOpen(state, fd, memory);
  const flags = (flagsAgain(state.flags) & ~(O.directory | O.noFollow)) |
    O.closeOnExec;
  const hostFd = openSomehow(
    (flags) => open(`/proc/self/fd/${memory}`, flags),
    flags,
  );
  if (hostFd < 0) throw cannotOpen(state, fd, hostFd);
  try {
    const hasOffset = !(state.flags & O.path) && !state.isFolder;
    if (hasOffset) seek(state, fd, hostFd);
    const file = new HostFile(
      hostFd,
      state.flags,
      pathOfSaved(state.path),
    );
    file.lateSeals = late;
    return file;
  } catch (error) {
    close(hostFd);
    throw error;
  }
}
