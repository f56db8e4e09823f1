/**
 * Opening again what was open at a save.
 *
 * @module
 */

import { errnoName } from "../kvm/mod.ts";
import { CarriedFiles } from "./carried_files.ts";
import {
  HostStream,
  type ScriptConsole,
  ScriptStream,
  terminalOf,
} from "./console.ts";
import { DeviceFile, isDeviceFile } from "./device_files.ts";
import {
  EpollFile,
  MAX_INTERESTS,
  MAX_NESTS,
  MAX_SET_INTERESTS,
} from "./epoll_file.ts";
import { FilesError } from "./errors.ts";
import { EventFile } from "./event_file.ts";
import type { LockState } from "./file_locks.ts";
import { FdTable } from "./fd_table.ts";
import { O } from "./host_constants.ts";
import { areEvents, InotifyFile } from "./inotify_file.ts";
import type { OpenFile } from "./open_file.ts";
import { PipeBuffer, PipeEnd } from "./pipe.ts";
import {
  asItIs,
  type Checked,
  checkReopenable,
  reopenHostFile,
  type RestoreFilesOptions,
  type SharedFiles,
} from "./reopen.ts";
import { SignalFile } from "./signal_file.ts";
import { SocketEnd, type SocketKind } from "./socket_end.ts";
import { TimerFile } from "./timer_file.ts";
import { atOnce, inTurns, type Steps } from "./steps.ts";
import { isSealed, UnlinkedFiles } from "./unlinked_files.ts";
import { VirtualFile } from "./virtual_file.ts";
import type { FilesPart, FilesTable, FileState } from "./files_state.ts";

/**
 * What was open, found again and checked; nothing was changed yet.
 */
export class CheckedFiles implements Disposable {
  readonly #table: FilesTable;
  readonly #carried: CarriedFiles;
  readonly #script: ScriptConsole | undefined;
  #checked: readonly Checked[];

  /** @internal: {@linkcode checkFiles} makes it. */
  constructor(
    table: FilesTable,
    checked: readonly Checked[],
    carried: CarriedFiles,
    script?: ScriptConsole,
  ) {
    this.#table = table;
    this.#checked = checked;
    this.#carried = carried;
    this.#script = script;
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
    const fds = new FdTable();
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
  const pipes = table.pipes.map((p) => {
    const inSegments = p.segments.reduce((n, one) => n + one.lengthBytes, 0);
    if (inSegments > p.content.length) {
      throw malformed(`the packets of pipe ${p.inode} are more than is in it`);
    }
    const pipe = new PipeBuffer(
      p.inode,
      p.content,
      p.capacityBytes,
      p.segments,
    );
    pipe.open.read = p.readEndOpen;
    pipe.open.write = p.writeEndOpen;
    return pipe;
  });
  using unlinked = new UnlinkedFiles();
  const carried = new CarriedFiles(options.paths);
  const shared: SharedFiles = { unlinked, carried };
  const checked: Checked[] = [];
  try {
    for (const [index, state] of table.files.entries()) {
      const fd = descriptorOf(table, index);
      checked.push(
        yield* check(state, index, fd, pipes, content, options, shared),
      );
      yield;
    }
    const seen = new Set<number>();
    for (const { fd, file } of table.descriptors) {
      if (!checked[file] || seen.has(fd)) {
        throw malformed(`descriptor ${fd} is out of place`);
      }
      seen.add(fd);
    }
    checkConnections(table);
    const held = new Set<number>();
    for (const { gpa, file } of table.held) {
      if (!checked[file] || held.has(gpa)) {
        throw malformed(`the file mapped at gpa ${gpa} is out of place`);
      }
      held.add(gpa);
    }
    const kept = new Set<string>();
    for (const { tid, fd, file } of table.kept) {
      if (!checked[file] || kept.has(`${tid} ${fd}`)) {
        throw malformed(
          `the file that thread ${tid} waits for is out of place`,
        );
      }
      kept.add(`${tid} ${fd}`);
    }
  } catch (error) {
    for (const one of checked) one.cancel();
    carried[Symbol.dispose]();
    throw error;
  }
  return new CheckedFiles(table, checked, carried, options.console);
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
  for (const [index, state] of table.files.entries()) {
    // A file without a name comes in the image.
    if (state.type !== "host" || state.isUnlinked) continue;
    try {
      const fd = descriptorOf(table, index);
      yield* checkReopenable(state, fd, options, { unlinked, carried });
    } catch (error) {
      if (!(error instanceof FilesError)) throw error;
      found.push(error);
    }
    yield;
  }
  return found;
}

/** The lowest descriptor that points to a file; -1 where it is only mapped, or kept. */
function descriptorOf(table: FilesTable, index: number): number {
  const isElsewhere = [...table.held, ...table.kept]
    .some(({ file }) => file === index);
  const fd = table.descriptors.find((d) => d.file === index)?.fd ??
    (isElsewhere ? -1 : undefined);
  if (fd === undefined) throw malformed(`nothing points to file ${index}`);
  return fd;
}

/** Checks what files say of one another. @throws {FilesError} */
function checkConnections({ files }: FilesTable): void {
  const counts = new Map<number, number>();
  for (const [index, state] of files.entries()) {
    if (state.type === "socket" && state.peer !== null) {
      const peer = files[state.peer];
      const isMutual = peer?.type === "socket" && peer.peer === index &&
        peer.kind === state.kind && state.peer !== index;
      if (!isMutual) throw malformed(`socket ${index} has no other end`);
    }
    if (state.type !== "epoll") continue;
    if (nestsOf(files, index) > MAX_NESTS) {
      throw malformed(`set ${index} is nested too deep`);
    }
    const seen = new Set<string>();
    for (const { fd, file } of state.interests) {
      const count = (counts.get(file) ?? 0) + 1;
      counts.set(file, count);
      const isSet = files[file]?.type === "epoll";
      if (count > (isSet ? MAX_SET_INTERESTS : MAX_INTERESTS)) {
        throw malformed(`too many sets wait for file ${file}`);
      }
      const key = `${fd} ${file}`;
      if (!files[file] || seen.has(key)) {
        throw malformed(`an interest of set ${index} is out of place`);
      }
      seen.add(key);
    }
  }
}

/** How many sets are below one, one in another; too many of one in itself. */
function nestsOf(files: FilesTable["files"], index: number): number {
  let level = new Set([index]);
  for (let nests = 0; nests <= MAX_NESTS; nests++) {
    const below = new Set<number>();
    for (const set of level) {
      const state = files[set];
      if (state.type !== "epoll") continue;
      for (const { file } of state.interests) {
        if (files[file]?.type === "epoll") below.add(file);
      }
    }
    if (below.size === 0) return nests;
    level = below;
  }
  return MAX_NESTS + 1;
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

/** Connects files that know of one another. @throws {FilesError} */
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

function malformed(what: string): FilesError {
  return new FilesError("FILES_STATE", `Cannot restore "fd-table": ${what}`);
}

function* check(
  state: FileState,
  index: number,
  fd: number,
  pipes: readonly PipeBuffer[],
  content: readonly FilesPart[],
  options: RestoreFilesOptions,
  shared: SharedFiles,
): Steps<Checked> {
  switch (state.type) {
    case "pipe":
      if (!pipes[state.pipe]) throw malformed(`pipe ${state.pipe} is missing`);
      return asItIs(new PipeEnd(pipes[state.pipe], state.flags));
    case "console": {
      if (!options.console) {
        return asItIs(new HostStream(state.stream, state.flags));
      }
      const file = new ScriptStream(options.console, state.stream);
      // Its access mode is the script's; the rest is the program's choice.
      file.flags |= state.flags & ~O.accessMode;
      return asItIs(file);
    }
    case "device":
      if (!isDeviceFile(state.path)) {
        throw malformed(`${state.path} is no device file`);
      }
      return asItIs(new DeviceFile(state.path, state.flags));
    case "virtual":
      return asItIs(new VirtualFile(state, state.flags, state.position));
    case "plugin": {
      const file = options.reopen?.(state);
      if (file) return asItIs(file);
      throw malformed(`no device "${state.device}" has a file ${state.path}`);
    }
    case "eventfd": {
      const { value, isSemaphore } = state;
      const flags = state.flags & O.nonBlock;
      return asItIs(new EventFile(flags, value, isSemaphore));
    }
    case "signalfd":
      return asItIs(new SignalFile(state.flags & O.nonBlock, state.mask));
    case "inotify": {
      const { paths } = options;
      const flags = state.flags & O.nonBlock;
      const look = (path: string) =>
        paths.open("/", path, O.path, 0, { read: true });
      if (!areEvents(state.events)) throw malformed("it has half an event");
      const file = InotifyFile.restore(flags, state, look);
      if (typeof file !== "number") return asItIs(file);
      throw new FilesError(
        "FILES_DENIED",
        `Cannot restore "fd-table": nothing can be watched here (${
          errnoName(-file)
        })`,
      );
    }
    case "timerfd": {
      const { dueNs, intervalNs, flags, clock, ...rest } = state;
      if (!options.clock) throw malformed("it has timers, and no clock");
      return asItIs(
        new TimerFile(options.clock, clock, flags & O.nonBlock, {
          ...rest,
          dueNs: dueNs === null ? null : Number(dueNs),
          intervalNs: Number(intervalNs),
        }),
      );
    }
    case "socket":
      return asItIs(
        new SocketEnd(
          state.kind as SocketKind,
          state.flags & O.nonBlock,
          state,
        ),
      );
    case "epoll":
      return asItIs(new EpollFile());
    case "host": {
      const own = content.filter(({ state: part }) =>
        part.part === "content" && part.file === index
      );
      return yield* reopenHostFile(state, fd, own, options, shared);
    }
  }
}
