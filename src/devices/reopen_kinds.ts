/**
 * Opening again a file that was open at a save, of whichever kind.
 *
 * @module
 */

import { errnoName } from "../kvm/mod.ts";
import type { Buffered } from "./buffered_bytes.ts";
import { HostStream, ScriptStream } from "./console.ts";
import { DeviceFile, isDeviceFile } from "./device_files.ts";
import { EpollFile } from "./epoll_file.ts";
import { FilesError } from "./errors.ts";
import { EventFile } from "./event_file.ts";
import type { FilesPart, FilesTable } from "./files_state.ts";
import { descriptorOf } from "./files_table_check.ts";
import { O } from "./host_constants.ts";
import { areEvents, InotifyFile } from "./inotify_file.ts";
import { PipeEnd } from "./pipe.ts";
import {
  asItIs,
  type Checked,
  reopenHostFile,
  type RestoreFilesOptions,
  type SharedFiles,
} from "./reopen.ts";
import { malformed } from "./restore_errors.ts";
import { SignalFile } from "./signal_file.ts";
import { SocketEnd, type SocketKind } from "./socket_end.ts";
import type { Steps } from "./steps.ts";
import { TimerFile } from "./timer_file.ts";
import { VirtualFile } from "./virtual_file.ts";

/** What an image says of what was open, and what there is to open it with. */
export interface Reopening {
  /** The table in the image. */
  readonly table: FilesTable;
  /** The pipes, and what sockets and files of /proc hold. */
  readonly buffered: Buffered;
  /** The parts with the content of files. */
  readonly content: readonly FilesPart[];
  /** What the restore works with. */
  readonly options: RestoreFilesOptions;
  /** What the files have in common. */
  readonly shared: SharedFiles;
}

/**
 * Opens a file again, or finds it again, and checks it.
 *
 * @param index of the file in the table
 * @throws {FilesError} naming what is wrong
 */
export function* reopenFile(
  index: number,
  { table, buffered, content, options, shared }: Reopening,
): Steps<Checked> {
  const state = table.files[index];
  const fd = descriptorOf(table, index);
  switch (state.type) {
    case "pipe": {
      const pipe = buffered.pipes[state.pipe];
      if (!pipe) throw malformed(`pipe ${state.pipe} is missing`);
      return asItIs(new PipeEnd(pipe, state.flags));
    }
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
    case "virtual": {
      const content = buffered.texts[state.text];
      if (!content) throw malformed(`text ${state.text} is missing`);
      const { flags, position } = state;
      return asItIs(new VirtualFile({ ...state, content }, flags, position));
    }
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
    case "socket": {
      const flags = state.flags & O.nonBlock;
      const messages = buffered.messages.get(index)!;
      return asItIs(
        new SocketEnd(
          state.kind as SocketKind,
          flags,
          { ...state, messages },
          shared.sockets,
        ),
      );
    }
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
