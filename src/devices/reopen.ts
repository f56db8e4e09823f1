/**
 * Opening a host file again after a thaw, if it is the same.
 *
 * @module
 */

import type { CarriedFiles } from "./carried_files.ts";
import type { Clock } from "./clock.ts";
import type { ScriptConsole } from "./console.ts";
import { FilesError } from "./errors.ts";
import { checkIdentity } from "./file_check.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import type { HostPaths } from "./host_paths.ts";
import { close, ftruncate } from "./host_calls.ts";
import { O } from "./host_constants.ts";
import type { OpenFile } from "./open_file.ts";
import { pathOfSaved } from "./path_bytes.ts";
import type { PluginFileState } from "./plugin_file_state.ts";
import { isDenial, nameOf, whyOf } from "./restore_errors.ts";
import { hostFile, hostFileAgain, openAgain } from "./restored_file.ts";
import type { SocketSpace } from "./socket_space.ts";
import type { Steps } from "./steps.ts";
import { reopenUnlinked, type UnlinkedFiles } from "./unlinked_files.ts";

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
  /** The clock that timers go by; absent: there must be none. */
  readonly clock?: Clock;
  /** What to do about files that changed. */
  readonly policy: FilesPolicy;
  /**
   * The VM's memory, which files without a name may be longer than what the
   * image has of them, all together; absent: no bound.
   */
  readonly memoryBytes?: number;
  /**
   * How much the image may have of files without a name, which come back in
   * the host's memory, all together, bytes; absent: no bound.
   */
  readonly mostUnlinkedBytes?: number;
  /** Opens again a file of a plugin; `undefined` where there is none such. */
  readonly reopen?: (state: PluginFileState) => OpenFile | undefined;
}

/**
 * A file that was found as it must be. Restoring may change it (cut it back,
 * write what the image carries), but only once every other was found so too: a
 * restore that is refused changes nothing.
 */
export interface Checked {
  /** The file, where it is open already. */
  readonly file?: OpenFile;
  /** Makes the changes, and gives the file; called once. */
  finish(): OpenFile;
  /** Gives back what is held, if it was not finished. */
  cancel(): void;
}

/** A file that needs no change. */
export function asItIs(file: OpenFile): Checked {
  return { file, finish: () => file, cancel: () => file.close() };
}

/** What the files of one restore share. */
export interface SharedFiles {
  /** Those without a name. */
  readonly unlinked: UnlinkedFiles;
  /** Those whose content the image carries. */
  readonly carried: CarriedFiles;
  /** The room that sockets have together. */
  readonly sockets: SocketSpace;
}

/**
 * Opens a file again where it was, and checks it.
 *
 * @param state what the image says
 * @param fd the program's descriptor, for messages
 * @param content the parts with its content, if the image carries it
 * @param shared what is shared with the other files
 * @throws {FilesError} naming descriptor, path, expected and found
 */
export function* reopenHostFile(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  options: RestoreFilesOptions,
  shared: SharedFiles,
): Steps<Checked> {
  if (state.isUnlinked) {
    return asItIs(yield* reopenUnlinked(state, fd, content, shared.unlinked));
  }
  const { policy, paths } = options;
  if (policy === "carry" && state.isCarried) {
    const isThere = yield* shared.carried.add(state, fd, content);
    if (isThere) return asItIs(hostFileAgain(state, fd, paths));
    return {
      finish: () => hostFileAgain(state, fd, paths),
      cancel() {},
    };
  }
  const hostFd = openAgain(state, fd, paths);
  try {
    const isLonger = policy !== "trust" && checkIdentity(state, fd, hostFd);
    const file = hostFile(state, fd, hostFd);
    if (!isLonger || policy !== "rollback") return asItIs(file);
    return {
      file,
      finish() {
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
 * Checks whether a host file that has a name could be opened again here. What
 * the image carries of it need not be there.
 *
 * @throws {FilesError} when not, as {@linkcode reopenHostFile} does
 */
export function* checkReopenable(
  state: HostFileState,
  fd: number,
  options: RestoreFilesOptions,
  shared: SharedFiles,
): Steps<void> {
  if (options.policy === "carry" && state.isCarried) {
    return shared.carried.check(state, fd);
  }
  (yield* reopenHostFile(state, fd, [], options, shared)).cancel();
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
  const own = paths.open("/", pathOfSaved(state.path), flags, 0, {
    write: true,
  });
  const result = own < 0 ? own : ftruncate(own, sizeBytes);
  if (own >= 0) close(own);
  if (result >= 0) return;
  throw new FilesError(
    "FILES_DENIED",
    `${nameOf(state, fd)}: it cannot be cut back to ${sizeBytes} bytes (${
      whyOf(result)
    })`,
    isDenial(result) ? { hint: "allow its folder with --allow-write" } : {},
  );
}
