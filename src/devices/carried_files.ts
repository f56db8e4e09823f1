/**
 * Putting files that an image carries in their places, whole or not at all.
 *
 * What a file holds is written beside its place while the restore may still be
 * refused. To put it there takes a link and a rename: a disk that is full has
 * nothing to say any more, and nobody ever sees half of a file.
 *
 * @module
 */

import { ERRNO, errnoName } from "../kvm/mod.ts";
import { carriedPieces } from "./carried_content.ts";
import { type CarriedCopy, temporaryName, writeCopy } from "./carried_copy.ts";
import { placeOf } from "./carried_place.ts";
import { FilesError } from "./errors.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import { close, renameat2, unlinkat } from "./host_calls.ts";
import type { HostPaths } from "./host_paths.ts";
import { linkDescriptor } from "./link_calls.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";
import type { Steps } from "./steps.ts";

/** A name that a copy gets. */
interface Target {
  readonly state: HostFileState;
  /** The program's descriptor, for messages. */
  readonly fd: number;
  readonly path: string;
}

/** A file to be put in place: one, however many descriptors and names it has. */
interface Placement {
  readonly copy: CarriedCopy;
  readonly targets: Target[];
}

/** An entry that was made for a target. */
interface Staged {
  readonly target: Target;
  /** The folder, held open. */
  readonly folder: number;
  /** The name in it that the target is to have. */
  readonly name: string;
  /** The name that it has until then; absent: it has its own already. */
  readonly temporary?: string;
}

/** The files of one restore that the image carries. */
export class CarriedFiles implements Disposable {
  readonly #paths: HostPaths;
  /** By identity at the save, and file system here. */
  readonly #placements = new Map<string, Placement>();

  /** @param paths the host's files that the program may reach */
  constructor(paths: HostPaths) {
    this.#paths = paths;
  }

  /** Checks whether a file could be put in place. @throws {FilesError} */
  check(state: HostFileState, fd: number): void {
    placeOf(state, fd, this.#paths);
  }

  /**
   * Has a file put in place by {@linkcode commit}; writes it beside its place,
   * unless it is there already: for another descriptor, or with this content.
   *
   * @param content the parts of the image with what it holds
   * @returns whether it is there already, with this content
   * @throws {FilesError} when it could not be put in place; nothing of it is
   * left then
   */
  *add(
    state: HostFileState,
    fd: number,
    content: readonly FilesPart[],
  ): Steps<boolean> {
    // All of it must be there, whether it will be used or not.
    for (const _ of carriedPieces(state, fd, content)) yield;
    const place = placeOf(state, fd, this.#paths);
    if (place.isSame) return true;
    const { device, inode } = state.identity;
    const key = `${device}:${inode}@${place.device}`;
    const known = this.#placements.get(key);
    const target = { state, fd, path: place.path };
    if (!known) {
      const copy = yield* writeCopy(state, fd, content, place, this.#paths);
      this.#placements.set(key, { copy, targets: [target] });
    } else if (known.targets.every(({ path }) => path !== place.path)) {
      known.targets.push(target);
    }
    return false;
  }

  /**
   * Puts all in place: first each copy gets a name, which may fail and changes
   * no file; then those names become the files' own.
   *
   * @throws {FilesError} when the host refuses
   */
  commit(): void {
    const staged: Staged[] = [];
    let renamed = 0;
    try {
      for (const { copy, targets } of this.#placements.values()) {
        // Where every file has a name, the first target takes that one.
        for (const [i, target] of targets.entries()) {
          staged.push(this.#stage(copy.fd, target, i ? undefined : copy.name));
        }
      }
      this.#close();
      for (const { target, folder, name, temporary } of staged) {
        if (temporary !== undefined) {
          const result = renameat2(folder, temporary, folder, name, 0);
          if (result < 0) throw cannotPlace(target, result);
        }
        renamed++;
      }
    } catch (error) {
      for (const { folder, name, temporary } of staged.slice(renamed)) {
        unlinkat(folder, temporary ?? name, 0);
      }
      this[Symbol.dispose]();
      throw error;
    } finally {
      for (const { folder } of staged) close(folder);
    }
  }

  /** Gives a copy a name: the target's own, where that one is free. */
  #stage(copy: number, target: Target, temporary?: string): Staged {
    const { state, fd, path } = target;
    const parent = this.#paths.openParent("/", path, { write: true });
    if (typeof parent === "number") throw cannotOpen(state, fd, parent);
    const { fd: folder, name } = parent;
    if (temporary !== undefined) return { target, folder, name, temporary };
    let linked = linkDescriptor(copy, folder, name);
    if (linked >= 0) return { target, folder, name };
    if (linked === -ERRNO.EEXIST) {
      temporary = temporaryName();
      linked = linkDescriptor(copy, folder, temporary);
      if (linked >= 0) return { target, folder, name, temporary };
    }
    close(folder);
    throw cannotPlace(target, linked);
  }

  /** Closes the copies: those without a name are gone then. */
  #close(): void {
    for (const { copy } of this.#placements.values()) close(copy.fd);
    this.#placements.clear();
  }

  /** Gives up what was not put in place. */
  [Symbol.dispose](): void {
    for (const { copy, targets: [{ path }] } of this.#placements.values()) {
      if (copy.name === undefined) continue;
      const parent = this.#paths.openParent("/", path, { write: true });
      if (typeof parent === "number") continue;
      unlinkat(parent.fd, copy.name, 0);
      close(parent.fd);
    }
    this.#close();
  }
}

function cannotPlace({ state, fd }: Target, result: number): FilesError {
  return new FilesError(
    "FILES_IO",
    `${nameOf(state, fd)}: what the image carries cannot be put there: ${
      errnoName(-result)
    }`,
  );
}
