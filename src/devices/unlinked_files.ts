/**
 * Files that had no name at the save: their content comes back in memory.
 *
 * @module
 */

import { fill } from "./carried_content.ts";
import type { FileIdentity } from "./file_identity.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import { addSeals, close, memfdCreate, open } from "./host_calls.ts";
import { memfdWithFlags } from "./space_calls.ts";
import { O } from "./host_constants.ts";
import { HostFile } from "./host_file.ts";
import { cannotOpen } from "./restore_errors.ts";
import { flagsAgain, seek } from "./restored_file.ts";
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
export function* reopenUnlinked(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  unlinked: UnlinkedFiles,
): Steps<HostFile> {
  const late = lateSeals(state);
  const memory = yield* unlinked.get(state.identity, function* () {
    const made = make(state);
    if (made < 0) return made;
    try {
      yield* fill(state, fd, content, made);
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
  const hostFd = open(`/proc/self/fd/${memory}`, flags);
  if (hostFd < 0) throw cannotOpen(state, fd, hostFd);
  try {
    if (!(state.flags & O.path)) seek(state, fd, hostFd);
    const file = new HostFile(hostFd, state.flags, state.path);
    file.lateSeals = late;
    return file;
  } catch (error) {
    close(hostFd);
    throw error;
  }
}
