/**
 * Opening again what was open at a save.
 *
 * @module
 */

import { HostStream, type ScriptConsole, ScriptStream } from "./console.ts";
import { DeviceFile, isDeviceFile } from "./device_files.ts";
import { FilesError } from "./errors.ts";
import { FdTable } from "./fd_table.ts";
import { O } from "./host_constants.ts";
import type { OpenFile } from "./open_file.ts";
import { PipeBuffer, PipeEnd } from "./pipe.ts";
import {
  asItIs,
  type Checked,
  reopenable,
  reopenHostFile,
  type RestoreFilesOptions,
  UnlinkedFiles,
} from "./reopen.ts";
import { VirtualFile } from "./virtual_file.ts";
import type { FilesPart, FilesTable, FileState } from "./files_state.ts";

/**
 * What was open, found again and checked; nothing was changed yet.
 */
export class CheckedFiles implements Disposable {
  readonly #table: FilesTable;
  readonly #script: ScriptConsole | undefined;
  #checked: readonly Checked[];

  /** @internal: {@linkcode checkFiles} makes it. */
  constructor(
    table: FilesTable,
    checked: readonly Checked[],
    script?: ScriptConsole,
  ) {
    this.#table = table;
    this.#checked = checked;
    this.#script = script;
  }

  /**
   * Cuts back and writes files as was chosen, and gives the descriptors.
   *
   * @throws {FilesError} when the host refuses; nothing is left open then
   */
  finish(): FdTable {
    const files: OpenFile[] = [];
    const checked = this.#checked;
    this.#checked = [];
    try {
      for (const one of checked) files.push(one.finish());
    } catch (error) {
      for (const one of checked.slice(files.length)) one.cancel();
      for (const file of files) file.close();
      throw error;
    }
    const fds = new FdTable();
    try {
      fds.locks.restore(this.#table.locks, files);
    } catch (error) {
      for (const file of files) fds.locks.closed(file);
      for (const file of files) file.close();
      throw error;
    }
    for (const { fd, file, closeOnExec } of this.#table.descriptors) {
      fds.installAt(fd, files[file], closeOnExec);
    }
    const { consoleInput, consoleEnded } = this.#table;
    if (consoleInput.length > 0) this.#script?.push(consoleInput);
    if (consoleEnded) this.#script?.end();
    return fds;
  }

  /** Gives back what is held, unless it was finished. */
  [Symbol.dispose](): void {
    for (const one of this.#checked) one.cancel();
    this.#checked = [];
  }
}

/**
 * Finds again what was open, and checks it, before anything is changed.
 *
 * @throws {FilesError} naming descriptor, path, expected and found; nothing is
 * left open then
 */
export function checkFiles(
  parts: readonly FilesPart[],
  options: RestoreFilesOptions,
): CheckedFiles {
  const [first, ...content] = parts;
  const table = first.state;
  if (table.part !== "table") throw malformed("its first part is no table");
  const pipes = table.pipes.map((p) => {
    const pipe = new PipeBuffer(p.inode, p.content);
    pipe.open.read = p.readEndOpen;
    pipe.open.write = p.writeEndOpen;
    return pipe;
  });
  using unlinked = new UnlinkedFiles();
  const checked: Checked[] = [];
  try {
    for (const [index, state] of table.files.entries()) {
      const fd = descriptorOf(table, index);
      checked.push(check(state, index, fd, pipes, content, options, unlinked));
    }
    const seen = new Set<number>();
    for (const { fd, file } of table.descriptors) {
      if (!checked[file] || seen.has(fd)) {
        throw malformed(`descriptor ${fd} is out of place`);
      }
      seen.add(fd);
    }
  } catch (error) {
    for (const one of checked) one.cancel();
    throw error;
  }
  return new CheckedFiles(table, checked, options.console);
}

/** Opens again what was open. @throws {FilesError} */
export function restoreFiles(
  parts: readonly FilesPart[],
  options: RestoreFilesOptions,
): FdTable {
  using checked = checkFiles(parts, options);
  return checked.finish();
}

/**
 * Every host file of a table that could not be opened again here, with the
 * reason. What the image carries of files need not be there yet.
 */
export function misfits(
  table: FilesTable,
  options: RestoreFilesOptions,
): FilesError[] {
  const found: FilesError[] = [];
  for (const [index, state] of table.files.entries()) {
    // A file without a name comes in the image.
    if (state.type !== "host" || state.isUnlinked) continue;
    try {
      const fd = descriptorOf(table, index);
      reopenable(state, fd, options);
    } catch (error) {
      if (!(error instanceof FilesError)) throw error;
      found.push(error);
    }
  }
  return found;
}

/** The lowest descriptor that points to a file. */
function descriptorOf(table: FilesTable, index: number): number {
  const fd = table.descriptors.find((d) => d.file === index)?.fd;
  if (fd === undefined) throw malformed(`nothing points to file ${index}`);
  return fd;
}

function malformed(what: string): FilesError {
  return new FilesError("FILES_STATE", `Cannot restore "fd-table": ${what}`);
}

function check(
  state: FileState,
  index: number,
  fd: number,
  pipes: readonly PipeBuffer[],
  content: readonly FilesPart[],
  options: RestoreFilesOptions,
  unlinked: UnlinkedFiles,
): Checked {
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
    case "host": {
      const own = content.filter(({ state: part }) =>
        part.part === "content" && part.file === index
      );
      return reopenHostFile(state, fd, own, options, unlinked);
    }
  }
}
