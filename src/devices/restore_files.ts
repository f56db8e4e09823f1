/**
 * Opening again what was open at a save.
 *
 * @module
 */

import { restoreBuffered } from "./buffered_bytes.ts";
import { CarriedFiles } from "./carried_files.ts";
import { type ScriptConsole, terminalOf } from "./console.ts";
import { EpollFile } from "./epoll_file.ts";
import { FilesError } from "./errors.ts";
import type { LockState } from "./file_locks.ts";
import { FdTable } from "./fd_table.ts";
import type { FilesPart, FilesTable, FileState } from "./files_state.ts";
import { checkTable, descriptorOf } from "./files_table_check.ts";
import { O } from "./host_constants.ts";
import type { OpenFile } from "./open_file.ts";
import {
  type Checked,
  checkReopenable,
  type RestoreFilesOptions,
} from "./reopen.ts";
import { reopenFile, type Reopening } from "./reopen_kinds.ts";
import { malformed } from "./restore_errors.ts";
import { SocketEnd } from "./socket_end.ts";
import { SocketSpace } from "./socket_space.ts";
import { atOnce, inTurns, type Steps } from "./steps.ts";
import { isSealed, UnlinkedFiles } from "./unlinked_files.ts";

/**
 * What was open, found again and checked; nothing was changed yet.
 */
export class CheckedFiles implements Disposable {
  readonly #table: FilesTable;
  readonly #carried: CarriedFiles;
  readonly #sockets: SocketSpace;
  readonly #script: ScriptConsole | undefined;
  #checked: readonly Checked[];

  /** @internal: {@linkcode checkFiles} makes it. */
  constructor(
    { table, options, shared }: Reopening,
    checked: readonly Checked[],
  ) {
    this.#table = table;
    this.#checked = checked;
    this.#carried = shared.carried;
    this.#sockets = shared.sockets;
    this.#script = options.console;
  }

  /**
   * Puts carried files in place, cuts back others, as was chosen, and gives the
   * descriptors.
   *
   * @throws {FilesError} when the host refuses; nothing is left open then
   */
  finish(): FdTable {
    const files: OpenFile[] = [];
    const checked = this.#checked;
    this.#checked = [];
    const fds = new FdTable(this.#sockets);
    const { locks } = this.#table;
    const open = checked.map(({ file }) => file);
    const isToCome = ({ file }: LockState) => checked[file] && !open[file];
    try {
      // Before anything is changed. Files to come are new: nobody has a lock.
      fds.locks.restore(locks.filter((lock) => !isToCome(lock)), open);
      this.#carried.commit();
      for (const one of checked) files.push(one.finish());
      fds.locks.restore(locks.filter(isToCome), files);
    } catch (error) {
      for (const file of [...open, ...files]) if (file) fds.locks.closed(file);
      for (const one of checked.slice(files.length)) one.cancel();
      for (const file of files) file.close();
      throw error;
    }
    connect(this.#table, files);
    for (const { fd, file, closeOnExec } of this.#table.descriptors) {
      fds.installAt(fd, files[file], closeOnExec);
    }
    for (const { gpa, file } of this.#table.held) fds.hold(gpa, files[file]);
    for (const { tid, fd, file } of this.#table.kept) {
      fds.keep(tid, fd, files[file]);
    }
    const { consoleInput, consoleEnded, terminal } = this.#table;
    if (terminal) terminalOf(this.#script)?.adopt(terminal.slice());
    if (consoleInput.length > 0) this.#script?.push(consoleInput);
    if (consoleEnded) this.#script?.end();
    return fds;
  }

  /**
   * The O_* flags of each file that is mapped, by the gpa it is mapped at; one
   * that is sealed can be mapped as if it was opened for reading.
   */
  get mapped(): ReadonlyMap<number, number> {
    const { held, files } = this.#table;
    return new Map(held.map(({ gpa, file }) => {
      const { flags } = files[file];
      const mode = flags & O.accessMode;
      const isReadOnly = mode === O.readWrite && isSealedFile(files, file);
      return [gpa, isReadOnly ? flags & ~O.accessMode : flags];
    }));
  }

  /** Gives back what is held, unless it was finished. */
  [Symbol.dispose](): void {
    for (const one of this.#checked) one.cancel();
    this.#checked = [];
    this.#carried[Symbol.dispose]();
  }
}

/**
 * Finds again what was open, and checks it, before anything is changed. The
 * event loop has its turn meanwhile, however large the files are.
 *
 * @param signal gives up
 * @throws {FilesError} naming descriptor, path, expected and found; nothing is
 * left open then; the signal's reason
 */
export function checkFiles(
  parts: readonly FilesPart[],
  options: RestoreFilesOptions,
  signal?: AbortSignal,
): Promise<CheckedFiles> {
  return inTurns(checkInSteps(parts, options), signal);
}

function* checkInSteps(
  parts: readonly FilesPart[],
  options: RestoreFilesOptions,
): Steps<CheckedFiles> {
  const [first, ...content] = parts;
  const table = first.state;
  if (table.part !== "table") throw malformed("its first part is no table");
  const buffered = yield* restoreBuffered(table, content);
  using unlinked = new UnlinkedFiles(
    options.mostUnlinkedBytes,
    options.memoryBytes,
  );
  const carried = new CarriedFiles(options.paths);
  const reopening: Reopening = {
    table,
    buffered,
    content,
    options,
    shared: { unlinked, carried, sockets: new SocketSpace() },
  };
  const checked: Checked[] = [];
  try {
    for (const index of table.files.keys()) {
      checked.push(yield* reopenFile(index, reopening));
      yield;
    }
    checkTable(table);
  } catch (error) {
    for (const one of checked) one.cancel();
    carried[Symbol.dispose]();
    throw error;
  }
  return new CheckedFiles(reopening, checked);
}

/** Opens again what was open, in one go. @throws {FilesError} */
export function restoreFiles(
  parts: readonly FilesPart[],
  options: RestoreFilesOptions,
): FdTable {
  using checked = atOnce(checkInSteps(parts, options));
  return checked.finish();
}

/**
 * Every host file of a table that could not be opened again here, with the
 * reason. What the image carries of files need not be there yet. The event loop
 * has its turn meanwhile.
 */
export function misfits(
  table: FilesTable,
  options: RestoreFilesOptions,
): Promise<FilesError[]> {
  return inTurns(misfitsInSteps(table, options));
}

function* misfitsInSteps(
  table: FilesTable,
  options: RestoreFilesOptions,
): Steps<FilesError[]> {
  const found: FilesError[] = [];
  using unlinked = new UnlinkedFiles();
  using carried = new CarriedFiles(options.paths);
  const sockets = new SocketSpace();
  for (const [index, state] of table.files.entries()) {
    // A file without a name comes in the image.
    if (state.type !== "host" || state.isUnlinked) continue;
    try {
      const fd = descriptorOf(table, index);
      yield* checkReopenable(state, fd, options, {
        unlinked,
        carried,
        sockets,
      });
    } catch (error) {
      if (!(error instanceof FilesError)) throw error;
      found.push(error);
    }
    yield;
  }
  return found;
}

/** Whether a file, by whichever opening, is sealed against all writing. */
function isSealedFile(files: readonly FileState[], index: number): boolean {
  const file = files[index];
  if (file.type !== "host" || !file.isUnlinked) return false;
  const { device, inode } = file.identity;
  return files.some((other) =>
    other.type === "host" && other.isUnlinked && isSealed(other) &&
    other.identity.device === device && other.identity.inode === inode
  );
}

/** Connects files that know of one another. */
function connect({ files: states }: FilesTable, files: OpenFile[]): void {
  for (const [index, state] of states.entries()) {
    const file = files[index];
    if (file instanceof SocketEnd && state.type === "socket") {
      if (state.peer !== null) file.connect(files[state.peer] as SocketEnd);
      else if (state.wasConnected) file.connectClosed();
    }
    if (!(file instanceof EpollFile) || state.type !== "epoll") continue;
    file.flags = state.flags;
    for (const { file: of, ...interest } of state.interests) {
      file.restore(files[of], interest);
    }
  }
}
