/**
 * How descriptors travel: the table, and what each open file is.
 *
 * @module
 */

import * as v from "valibot";
import { errnoName } from "../kvm/mod.ts";
import {
  bytes,
  type Component,
  count,
  type Dump,
  type Part,
  type StateSchema,
  u64,
} from "../state/mod.ts";
import { HostStream, type ScriptConsole, ScriptStream } from "./console.ts";
import { DeviceFile, isDeviceFile } from "./device_files.ts";
import { FdTable, MAX_DESCRIPTORS } from "./fd_table.ts";
import {
  type FileIdentity,
  fileIdentity,
  identityOf,
} from "./file_identity.ts";
import { fstatat, offsetOf } from "./host_calls.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O } from "./host_constants.ts";
import { HostFile } from "./host_file.ts";
import { HostPaths } from "./host_paths.ts";
import type { OpenFile } from "./open_file.ts";
import { pathOf } from "./path_bytes.ts";
import { PIPE_BYTES, PipeBuffer, PipeEnd } from "./pipe.ts";
import {
  asItIs,
  type Checked,
  FilesError,
  type FilesPolicy,
  reopenHostFile,
} from "./reopen.ts";

/** How much console input that was not read yet an image may hold. */
const MAX_CONSOLE_INPUT_BYTES = 8 * 1024 * 1024;

const flags = v.pipe(v.number(), v.integer());

const hostFile = v.object({
  type: v.literal("host"),
  flags,
  /** Path on the host. */
  path: v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096)),
  /** Of a folder: a number of the file system's own, up to 63 bits. */
  offset: v.pipe(u64, v.maxValue(0x7fff_ffff_ffff_ffffn)),
  isFolder: v.boolean(),
  identity: fileIdentity,
  /** Whether the file had no name any more. */
  isUnlinked: v.boolean(),
  /** Whether its content is in the parts that follow. */
  isCarried: v.boolean(),
});
/** What an image knows of an open host file. */
export type HostFileState = v.InferOutput<typeof hostFile>;

/** How descriptors travel. */
export const filesState = {
  kind: "fd-table",
  version: 1,
  schema: v.variant("part", [
    v.object({
      part: v.literal("table"),
      descriptors: v.pipe(
        v.array(v.object({
          fd: v.pipe(count, v.maxValue(MAX_DESCRIPTORS - 1)),
          /** Index into `files`. */
          file: count,
          closeOnExec: v.boolean(),
        })),
        v.maxLength(MAX_DESCRIPTORS),
      ),
      files: v.pipe(
        v.array(v.variant("type", [
          hostFile,
          v.object({
            type: v.literal("pipe"),
            flags,
            /** Index into `pipes`. */
            pipe: count,
          }),
          v.object({
            type: v.literal("console"),
            flags,
            stream: v.pipe(count, v.maxValue(2)),
          }),
          v.object({ type: v.literal("device"), flags, path: v.string() }),
        ])),
        v.maxLength(MAX_DESCRIPTORS),
      ),
      pipes: v.pipe(
        v.array(v.object({
          inode: count,
          readEndOpen: v.boolean(),
          writeEndOpen: v.boolean(),
          /** Bytes written and not yet read. */
          content: bytes(PIPE_BYTES),
        })),
        v.maxLength(MAX_DESCRIPTORS),
      ),
      /** Input that a script gave and the program has not read. */
      consoleInput: bytes(MAX_CONSOLE_INPUT_BYTES),
      consoleEnded: v.boolean(),
    }),
    v.object({
      part: v.literal("content"),
      /** Index into `files`. */
      file: count,
      offset: count,
    }),
  ]),
} satisfies StateSchema<unknown>;

/** A part of the state of the descriptors, version 1. */
export type FilesStateV1 = v.InferOutput<typeof filesState.schema>;
type Table = Extract<FilesStateV1, { part: "table" }>;
type FileState = Table["files"][number];

/** How much of a carried file one part holds. */
const CONTENT_BYTES = 4 * 1024 * 1024;

/** The component that dumps descriptors and open files. */
export class FilesSaver implements Component {
  readonly id = "fd-table";
  readonly kind: string = filesState.kind;
  readonly version: number = filesState.version;
  readonly #fds: FdTable;
  readonly #console: ScriptConsole | undefined;
  readonly #carry: boolean;

  /** @param carry put the content of every file into the image */
  constructor(fds: FdTable, console?: ScriptConsole, carry = false) {
    this.#fds = fds;
    this.#console = console;
    this.#carry = carry;
  }

  /** Answers with the table, and the content of files that are carried. */
  dump(): Dump {
    const consoleInput = this.#console?.unread() ?? new Uint8Array();
    if (consoleInput.length > MAX_CONSOLE_INPUT_BYTES) {
      return {
        answer: "cannot",
        why:
          `${consoleInput.length} bytes of input wait to be read, must be <= ${MAX_CONSOLE_INPUT_BYTES}`,
      };
    }
    const files = this.#fds.files();
    const pipes: PipeBuffer[] = [];
    const states: FileState[] = [];
    for (const file of files) {
      const state = describe(file, pipes, this.#carry);
      if (typeof state === "string") return { answer: "cannot", why: state };
      states.push(state);
    }
    const table: Table = {
      part: "table",
      descriptors: [...this.#fds.entries()].map(([fd, descriptor]) => ({
        fd,
        file: files.indexOf(descriptor.file),
        closeOnExec: descriptor.closeOnExec,
      })),
      files: states,
      pipes: pipes.map((pipe) => ({
        inode: pipe.inode,
        readEndOpen: pipe.open.read,
        writeEndOpen: pipe.open.write,
        content: pipe.content(),
      })),
      consoleInput,
      consoleEnded: this.#console?.ended ?? false,
    };
    return { answer: "many", parts: parts(table, files) };
  }
}

function* parts(table: Table, files: readonly OpenFile[]): Generator<Part> {
  yield { value: table };
  for (const [index, state] of table.files.entries()) {
    if (state.type !== "host" || !state.isCarried) continue;
    const fd = files[index].hostFd!;
    using file = Deno.openSync(`/proc/self/fd/${fd}`);
    const chunk = new Uint8Array(CONTENT_BYTES);
    const { sizeBytes } = state.identity;
    for (let offset = 0; offset < sizeBytes;) {
      // No more than there was: somebody may append meanwhile.
      const n = file.readSync(chunk.subarray(0, sizeBytes - offset));
      if (n === null) {
        throw new FilesError(
          "FILES_CHANGED",
          `Cannot save ${state.path}: it became shorter meanwhile`,
        );
      }
      const value = { part: "content", file: index, offset };
      yield { value, data: [chunk.subarray(0, n)] };
      offset += n;
    }
  }
}

/** What an image says of an open file; a text when it cannot be saved. */
function describe(
  file: OpenFile,
  pipes: PipeBuffer[],
  carry: boolean,
): FileState | string {
  const { flags } = file;
  if (file instanceof PipeEnd) {
    if (!pipes.includes(file.pipe)) pipes.push(file.pipe);
    return { type: "pipe", flags, pipe: pipes.indexOf(file.pipe) };
  }
  if (file instanceof HostStream || file instanceof ScriptStream) {
    return { type: "console", flags, stream: file.stream };
  }
  if (file instanceof DeviceFile) {
    return { type: "device", flags, path: file.path };
  }
  if (file instanceof HostFile) return describeHostFile(file, carry);
  return `an open file of type "${file.type}" cannot be saved`;
}

function describeHostFile(file: HostFile, carry: boolean): FileState | string {
  const fd = file.hostFd;
  const path = file.formerPath ?? HostPaths.pathOfFd(fd);
  if (path === undefined) return `descriptor ${fd} has no path`;
  const found = identityOf(fd);
  if (typeof found === "number") {
    return `${path} cannot be looked at (${errnoName(-found)})`;
  }
  const { isFolder } = found;
  // Another name may be left (a hard link); this one leads there no more.
  const isUnlinked = found.isUnlinked || !leadsTo(path, found.identity);
  const offset = file.flags & O.path ? 0n : offsetOf(fd);
  if (offset < 0n) {
    return `${path} has no offset (${errnoName(-Number(offset))})`;
  }
  if (isUnlinked && isFolder) return `the folder ${path} was removed`;
  if (path.includes("\ufffd")) return `the path ${path} is not UTF-8`;
  return {
    type: "host",
    flags: file.flags,
    path: isUnlinked ? path.replace(/ \(deleted\)$/, "") : path,
    offset,
    isFolder,
    identity: found.identity,
    isUnlinked,
    isCarried: !isFolder && (carry || isUnlinked),
  };
}

/** Whether a path of the host still names the file. */
function leadsTo(path: string, { device, inode }: FileIdentity): boolean {
  const stat = new DataView(new ArrayBuffer(144));
  const bytes = new Uint8Array(stat.buffer);
  if (fstatat(AT_FDCWD, pathOf(path), bytes, AT_SYMLINK_NOFOLLOW) < 0) {
    return false;
  }
  return `${stat.getBigUint64(0, true)}` === device &&
    `${stat.getBigUint64(8, true)}` === inode;
}

/** What a restore of files works with. */
export interface RestoreFilesOptions {
  /** The host's files that the program may reach. */
  readonly paths: HostPaths;
  /** A script's console; absent: the VMM's own descriptors. */
  readonly console?: ScriptConsole;
  /** What to do about files that changed. */
  readonly policy: FilesPolicy;
}

/** A part as it was read: what it says, and its bytes. */
export interface FilesPart {
  /** What it says. */
  readonly state: FilesStateV1;
  /** Its bulk data. */
  readonly data: () => Uint8Array;
}

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
  const checked: Checked[] = [];
  const files: OpenFile[] = [];
  try {
    // What is only checked comes before what is changed.
    for (const [index, state] of table.files.entries()) {
      const fd = table.descriptors.find((d) => d.file === index)?.fd;
      if (fd === undefined) throw malformed(`nothing points to file ${index}`);
      checked.push(check(state, index, fd, pipes, content, options));
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
    case "host": {
      const own = content.filter(({ state: part }) =>
        part.part === "content" && part.file === index
      );
      return reopenHostFile(state, fd, own, options);
    }
  }
}
