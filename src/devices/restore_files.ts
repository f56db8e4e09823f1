/**
 * Opening again what was open at a save.
 *
 * @module
 */

import { HostStream, ScriptStream } from "./console.ts";
import { DeviceFile, isDeviceFile } from "./device_files.ts";
import { FilesError } from "./errors.ts";
import { FdTable } from "./fd_table.ts";
import { O } from "./host_constants.ts";
import type { OpenFile } from "./open_file.ts";
import { PipeBuffer, PipeEnd } from "./pipe.ts";
import {
  asItIs,
  type Checked,
  reopenHostFile,
  type RestoreFilesOptions,
  UnlinkedFiles,
} from "./reopen.ts";
import type { FilesPart, FileState } from "./files_state.ts";

/**
 * Opens again what was open.
 *
 * @throws {FilesError} naming descriptor, path, expected and found; nothing is
 * left open then
 */
export function restoreFiles(
  parts: readonly FilesPart[],
  options: RestoreFilesOptions,
): FdTable {
  const [first, ...content] = parts;
  const table = first.state;
  if (table.part !== "table") throw malformed("its first part is no table");
  const fds = new FdTable();
  const pipes = table.pipes.map((p) => {
    const pipe = new PipeBuffer(p.inode, p.content);
    pipe.open.read = p.readEndOpen;
    pipe.open.write = p.writeEndOpen;
    return pipe;
  });
  using unlinked = new UnlinkedFiles();
  const checked: Checked[] = [];
  const files: OpenFile[] = [];
  try {
    // What is only checked comes before what is changed.
    for (const [index, state] of table.files.entries()) {
      const fd = table.descriptors.find((d) => d.file === index)?.fd;
      if (fd === undefined) throw malformed(`nothing points to file ${index}`);
      checked.push(check(state, index, fd, pipes, content, options, unlinked));
    }
    const seen = new Set<number>();
    for (const { fd, file } of table.descriptors) {
      if (!checked[file] || seen.has(fd)) {
        throw malformed(`descriptor ${fd} is out of place`);
      }
      seen.add(fd);
    }
    for (const one of checked) files.push(one.finish());
  } catch (error) {
    for (const one of checked.slice(files.length)) one.cancel();
    for (const file of files) file.close();
    throw error;
  }
  for (const { fd, file, closeOnExec } of table.descriptors) {
    fds.installAt(fd, files[file], closeOnExec);
  }
  if (options.console) {
    if (table.consoleInput.length > 0) options.console.push(table.consoleInput);
    if (table.consoleEnded) options.console.end();
  }
  return fds;
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
