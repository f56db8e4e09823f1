/**
 * Saving descriptors and open files.
 *
 * @module
 */

import { errnoName } from "../kvm/mod.ts";
import type { Component, Dump, Part } from "../state/mod.ts";
import { bufferedParts } from "./buffered_bytes.ts";
import {
  HostStream,
  type ScriptConsole,
  ScriptStream,
  terminalOf,
} from "./console.ts";
import { DeviceFile } from "./device_files.ts";
import { EpollFile } from "./epoll_file.ts";
import { FilesError } from "./errors.ts";
import { EventFile } from "./event_file.ts";
import type { FdTable } from "./fd_table.ts";
import { MAX_LOCKS } from "./file_locks.ts";
import {
  digestOnce,
  type Digests,
  identityOf,
  leadsTo,
} from "./file_identity.ts";
import {
  close,
  fileSystemType,
  lseek,
  offsetOf,
  open,
  pread,
} from "./host_calls.ts";
import { O } from "./host_constants.ts";
import { entryAt } from "./folder_entries.ts";
import { HostFile } from "./host_file.ts";
import { InotifyFile } from "./inotify_file.ts";
import type { OpenFile } from "./open_file.ts";
import { pathShown, savedPath } from "./path_bytes.ts";
import { hostPathOf, RootFolder } from "./root_folder.ts";
import { type PipeBuffer, PipeEnd } from "./pipe.ts";
import { PluginFile } from "./plugin_file.ts";
import type { PluginFileState } from "./plugin_file_state.ts";
import { SignalFile } from "./signal_file.ts";
import { SocketEnd } from "./socket_end.ts";
import { TimerFile } from "./timer_file.ts";
import { VirtualFile } from "./virtual_file.ts";
import {
  filesState,
  type FilesTable,
  type FileState,
  MAX_CONSOLE_INPUT_BYTES,
} from "./files_state.ts";

/** How much of a carried file one part holds. */
const CONTENT_BYTES = 4 * 1024 * 1024;

/** Where a file has data, and where it has none (lseek(2)). */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** The component that dumps descriptors and open files. */
export class FilesSaver implements Component {
  readonly id = "fd-table";
  readonly kind: string = filesState.kind;
  readonly version: number = filesState.version;
  readonly #fds: FdTable;
  readonly #console: ScriptConsole | undefined;
  readonly #carry: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #root: RootFolder | undefined;
  readonly #plugins: ReadonlyMap<PluginFile, PluginFileState>;

  /**
   * @param options whether to put content into the image; how to give up; how
   * open files of plugins were when their devices were asked for their state;
   * the root in which paths are saved, if it is not the host's
   */
  constructor(
    fds: FdTable,
    console?: ScriptConsole,
    options: {
      carry?: boolean;
      signal?: AbortSignal;
      plugins?: ReadonlyMap<PluginFile, PluginFileState>;
      root?: RootFolder;
    } = {},
  ) {
    this.#plugins = options.plugins ?? new Map();
    this.#fds = fds;
    this.#console = console;
    this.#carry = options.carry ?? false;
    this.#signal = options.signal;
    this.#root = options.root;
  }

  /** Answers with the table, and the content of files that are carried. */
  async dump(): Promise<Dump> {
    const consoleInput = this.#console?.unread() ?? new Uint8Array();
    if (consoleInput.length > MAX_CONSOLE_INPUT_BYTES) {
      return {
        answer: "cannot",
        why:
          `${consoleInput.length} bytes of input wait to be read, must be <= ${MAX_CONSOLE_INPUT_BYTES}`,
      };
    }
    const files = this.#fds.files();
    const held: Held = { pipes: [], messages: [], texts: [] };
    const states: FileState[] = [];
    using own = this.#root ? undefined : new RootFolder();
    const root = this.#root ?? own!;
    const digests: Digests = new Map();
    for (const file of files) {
      if (file instanceof HostFile) {
        await digestOnce(file.hostFd, digests, this.#signal);
      }
      const state = file instanceof PluginFile
        ? this.#plugins.get(file) ?? file.snapshot()
        : describe(file, held, {
          root,
          carry: this.#carry,
          digests,
          files,
        });
      if (typeof state === "string") return { answer: "cannot", why: state };
      states.push(state);
    }
    const locks = this.#fds.locks.dump(files);
    if (locks.length > MAX_LOCKS) {
      return {
        answer: "cannot",
        why: `${locks.length} locks are held on files, must be <= ${MAX_LOCKS}`,
      };
    }
    const table: FilesTable = {
      part: "table",
      descriptors: [...this.#fds.entries()].map(([fd, descriptor]) => ({
        fd,
        file: files.indexOf(descriptor.file),
        closeOnExec: descriptor.closeOnExec,
      })),
      files: states,
      held: this.#fds.held().map(([gpa, file]) => ({
        gpa,
        file: files.indexOf(file),
      })),
      kept: this.#fds.kept().map(({ tid, fd, file }) => ({
        tid,
        fd,
        file: files.indexOf(file),
      })),
      pipes: held.pipes.map((pipe) => ({
        inode: pipe.inode,
        readEndOpen: pipe.open.read,
        writeEndOpen: pipe.open.write,
        capacityBytes: pipe.capacityBytes,
        lengthBytes: pipe.lengthBytes,
        segments: pipe.segments.map((one) => ({ ...one })),
      })),
      texts: held.texts.map(({ length }) => length),
      buffered: new Uint8Array(),
      locks,
      consoleInput,
      consoleEnded: this.#console?.ended ?? false,
      terminal: terminalOf(this.#console)?.attributes ?? null,
    };
    return { answer: "many", parts: parts(table, held, files) };
  }
}

/** What holds bytes that are in no file, in the order of the table. */
interface Held {
  readonly pipes: PipeBuffer[];
  /** Of all sockets, one after the other. */
  readonly messages: Uint8Array[];
  /** Of files of /proc; two that were opened as one have the same. */
  readonly texts: Uint8Array[];
}

/** The place of `one` in a list; it is added where it is not there. */
function placeOf<T>(one: T, list: T[]): number {
  const at = list.indexOf(one);
  return at < 0 ? list.push(one) - 1 : at;
}

function* parts(
  table: FilesTable,
  { pipes, messages, texts }: Held,
  files: readonly OpenFile[],
): Generator<Part> {
  yield { value: table };
  const ofPipes = pipes.flatMap((pipe) => pipe.pieces());
  yield* bufferedParts([...ofPipes, ...messages, ...texts]);
  for (const [index, state] of table.files.entries()) {
    if (state.type !== "host" || !state.isCarried) continue;
    const pieces = content(files[index].hostFd!, state.identity.sizeBytes);
    for (const { offset, bytes, zeroBytes } of pieces) {
      const value = { part: "content", file: index, offset, zeroBytes };
      yield { value, data: bytes.length > 0 ? [bytes] : [] };
    }
  }
}

/** The first bytes of a file, and how many zeros follow each piece. */
function* content(fd: number, sizeBytes: number): Generator<{
  offset: number;
  bytes: Uint8Array;
  zeroBytes: number;
}> {
  // Of its own offset: the program's stays where it is.
  const own = open(`/proc/self/fd/${fd}`, O.closeOnExec);
  if (own < 0) return yield* contentHere(fd, sizeBytes);
  try {
    using file = Deno.openSync(`/proc/self/fd/${own}`);
    // In turn: one is read from while the other is written.
    const chunks = [
      new Uint8Array(CONTENT_BYTES),
      new Uint8Array(CONTENT_BYTES),
    ];
    let turn = 0;
    for (let offset = 0; offset < sizeBytes;) {
      const chunk = chunks[turn++ % 2];
      const hole = lseek(own, offset, SEEK_HOLE);
      const end = Math.min(hole < 0 ? sizeBytes : hole, sizeBytes);
      const most = Math.min(chunk.length, end - offset);
      file.seekSync(offset, Deno.SeekMode.Start);
      const n = most > 0 ? file.readSync(chunk.subarray(0, most)) : 0;
      if (n === null) throw cannotRead(fd, "it became shorter meanwhile");
      // Zeros up to where there is data again, or to the end.
      const data = offset + n < end ? offset + n : lseek(own, end, SEEK_DATA);
      const next = Math.min(data < 0 ? sizeBytes : data, sizeBytes);
      const zeroBytes = next - offset - n;
      yield { offset, bytes: chunk.subarray(0, n), zeroBytes };
      offset = next;
    }
  } finally {
    close(own);
  }
}

/**
 * The same by the program's own descriptor, holes as zeros: of a file that
 * cannot be opened again, as some servers have it once it was removed.
 */
function* contentHere(fd: number, sizeBytes: number): ReturnType<
  typeof content
> {
  const chunks = [new Uint8Array(CONTENT_BYTES), new Uint8Array(CONTENT_BYTES)];
  let turn = 0;
  for (let offset = 0; offset < sizeBytes;) {
    const chunk = chunks[turn++ % 2];
    const n = pread(fd, chunk.subarray(0, sizeBytes - offset), offset);
    if (n < 0) throw cannotRead(fd, errnoName(-n));
    if (n === 0) throw cannotRead(fd, "it became shorter meanwhile");
    yield { offset, bytes: chunk.subarray(0, n), zeroBytes: 0 };
    offset += n;
  }
}

function cannotRead(fd: number, why: string): FilesError {
  const path = hostPathOf(fd) ?? "a file";
  return new FilesError(
    "FILES_CHANGED",
    `Cannot save ${pathShown(path)}: ${why}`,
  );
}

/** How open files are described. */
interface How {
  readonly root: RootFolder;
  readonly carry: boolean;
  readonly digests: Digests;
  /** Every file that is saved, in order. */
  readonly files: readonly OpenFile[];
}

/** What an image says of an open file; a text when it cannot be saved. */
function describe(
  file: OpenFile,
  held: Held,
  how: How,
): FileState | string {
  const { flags } = file;
  if (file instanceof PipeEnd) {
    return { type: "pipe", flags, pipe: placeOf(file.pipe, held.pipes) };
  }
  if (file instanceof HostStream || file instanceof ScriptStream) {
    return { type: "console", flags, stream: file.stream };
  }
  if (file instanceof DeviceFile) {
    return { type: "device", flags, path: file.path };
  }
  if (file instanceof VirtualFile) {
    const { path, mode, sizeBytes, offset: position } = file;
    const text = placeOf(file.content, held.texts);
    return { type: "virtual", flags, path, mode, text, sizeBytes, position };
  }
  if (file instanceof HostFile) return describeHostFile(file, how);
  if (file instanceof EventFile) {
    const { value, isSemaphore } = file;
    return { type: "eventfd", flags, value, isSemaphore };
  }
  if (file instanceof SignalFile) {
    return { type: "signalfd", flags, mask: file.mask };
  }
  if (file instanceof InotifyFile) {
    const { watches, next, events } = file.state();
    return { type: "inotify", flags, watches: [...watches], next, events };
  }
  if (file instanceof TimerFile) {
    const { dueNs, intervalNs, ...state } = file.state();
    return {
      type: "timerfd",
      flags,
      clock: file.clockId,
      ...state,
      dueNs: dueNs === null ? null : BigInt(Math.round(dueNs)),
      intervalNs: BigInt(intervalNs),
    };
  }
  if (file instanceof SocketEnd) {
    const { messages, ...state } = file.state();
    held.messages.push(...messages);
    return {
      type: "socket",
      flags,
      kind: file.kind,
      peer: file.peer ? how.files.indexOf(file.peer) : null,
      wasConnected: file.hasPeer,
      ...state,
      messageBytes: messages.map(({ length }) => length),
    };
  }
  if (file instanceof EpollFile) {
    const interests = file.interests().map(({ file: of, state }) => ({
      file: how.files.indexOf(of),
      ...state,
    }));
    return { type: "epoll", flags, interests };
  }
  return `an open file of type "${file.type}" cannot be saved`;
}

function describeHostFile(
  file: HostFile,
  { root, carry, digests }: How,
): FileState | string {
  const fd = file.hostFd;
  const onHost = hostPathOf(fd) ?? "a file";
  // A file in memory is in no root.
  const path = file.formerPath ??
    (file.isInMemory ? onHost : root.nameOf(fd));
  if (path === undefined) return `${pathShown(onHost)} is not in the root`;
  const found = identityOf(fd, undefined, digests);
  if (typeof found === "number") {
    return `${pathShown(path)} cannot be looked at (${errnoName(-found)})`;
  }
  const { isFolder } = found;
  // Another name may be left (a hard link); this one leads there no more.
  const leads = leadsTo(root.hostPath(path), found.identity);
  if (typeof leads === "number") {
    return `${pathShown(path)} cannot be looked at (${errnoName(-leads)})`;
  }
  const isUnlinked = !leads || isGoing(path, fd);
  const offset = file.flags & O.path ? 0n : offsetOf(fd);
  if (offset < 0n) {
    return `${pathShown(path)} has no offset (${errnoName(-Number(offset))})`;
  }
  return {
    type: "host",
    flags: file.flags,
    path: savedPath(
      isUnlinked ? path.replace(/ \(deleted\)$/, "") : path,
    ),
    offset,
    isFolder,
    ...nextEntry(fd, isFolder, offset),
    identity: found.identity,
    isUnlinked,
    isCarried: !isFolder && (carry || isUnlinked),
    seals: isUnlinked ? file.seals() : null,
  };
}

/** What is known of a folder that was listed in part, or to its end. */
function nextEntry(
  fd: number,
  isFolder: boolean,
  offset: bigint,
): { nextEntry?: Uint8Array } {
  if (!isFolder || offset === 0n) return {};
  const name = entryAt(fd, offset);
  return name ? { nextEntry: name } : {};
}

/** From linux/magic.h. */
const NFS_SUPER_MAGIC = 0x6969;

/**
 * Whether the file was removed, and has a name only until it is closed: what a
 * client of NFS does to one that is open (fs/nfs/unlink.c).
 */
function isGoing(path: string, fd: number): boolean {
  return /\/\.nfs[\da-f]{16,}$/.test(path) &&
    fileSystemType(fd) === NFS_SUPER_MAGIC;
}
