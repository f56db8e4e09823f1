/**
 * How descriptors travel: the table, and what each open file is.
 *
 * @module
 */

import * as v from "valibot";
import { bytes, count, type StateSchema, u64 } from "../state/mod.ts";
import { MAX_DESCRIPTORS } from "./fd_table.ts";
import { lockState, MAX_LOCKS } from "./file_locks.ts";
import { fileIdentity } from "./file_identity.ts";
import { PIPE_BYTES } from "./pipe.ts";
import { pluginFile } from "./plugin_file.ts";
import { TERMIOS_BYTES } from "./terminal.ts";
import { MAX_VIRTUAL_BYTES } from "./virtual_file.ts";

/** How much console input that was not read yet an image may hold. */
export const MAX_CONSOLE_INPUT_BYTES = 8 * 1024 * 1024;

/** How many mapped files are held open at most. */
const MAX_HELD = 400;

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
const virtualFile = v.object({
  type: v.literal("virtual"),
  flags,
  /** Path without links, a character a byte. */
  path: v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096)),
  /** Type and permissions, as st_mode has them. */
  mode: v.pipe(count, v.maxValue(0o177777)),
  /** What it held when it was opened. */
  content: bytes(MAX_VIRTUAL_BYTES),
  sizeBytes: count,
  position: count,
});
/** What an image knows of an open host file. */
export type HostFileState = v.InferOutput<typeof hostFile>;

/** How descriptors travel. */
export const filesState = {
  kind: "fd-table",
  version: 4,
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
          pluginFile,
          virtualFile,
        ])),
        v.maxLength(MAX_DESCRIPTORS + MAX_HELD),
      ),
      /** Files that are mapped, and open for that alone it may be. */
      held: v.pipe(
        v.array(v.object({
          /** Where it is mapped. */
          gpa: count,
          /** Index into `files`. */
          file: count,
        })),
        v.maxLength(MAX_HELD),
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
      /** Locks on host files. */
      locks: v.pipe(v.array(lockState), v.maxLength(MAX_LOCKS)),
      /** Input that a script gave and the program has not read. */
      consoleInput: bytes(MAX_CONSOLE_INPUT_BYTES),
      consoleEnded: v.boolean(),
      /** How the program has set its terminal: a struct termios. */
      terminal: v.nullable(
        v.pipe(bytes(TERMIOS_BYTES), v.length(TERMIOS_BYTES)),
      ),
    }),
    v.object({
      part: v.literal("content"),
      /** Index into `files`. */
      file: count,
      /** Where in the file the data belong. */
      offset: count,
      /** How many zeros follow them in the file. */
      zeroBytes: count,
    }),
  ]),
  // Version 2 added open files of devices that are plugins, version 3 files that
  // are mapped, those of /proc and /sys, and locks, version 4 the terminal.
  upgrades: {
    1: (old: unknown) => old,
    2: (old: unknown) => withField(old, { held: [], locks: [] }),
    3: (old: unknown) => withField(old, { terminal: null }),
  },
} satisfies StateSchema<unknown>;

/** The table of an older version with what it had not. */
function withField(old: unknown, added: object): unknown {
  return (old as { part?: unknown })?.part === "table"
    ? { ...old as object, ...added }
    : old;
}

/** A part of the state of the descriptors, version 4. */
export type FilesStateV4 = v.InferOutput<typeof filesState.schema>;
/** The table itself. */
export type FilesTable = Extract<FilesStateV4, { part: "table" }>;
/** What an image says of an open file. */
export type FileState = FilesTable["files"][number];

/** A part as it was read: what it says, and its bytes. */
export interface FilesPart {
  /** What it says. */
  readonly state: FilesStateV4;
  /** Its bulk data. */
  readonly data: () => Uint8Array;
}
