/**
 * How descriptors travel: the table, and what each open file is.
 *
 * @module
 */

import * as v from "valibot";
import {
  bytePath,
  bytes,
  count,
  rawPath,
  type StateSchema,
  textPath,
  u32,
  u64,
} from "../state/mod.ts";
import { MAX_INTERESTS } from "./epoll_file.ts";
import { MAX_EVENT_VALUE } from "./event_file.ts";
import { MAX_DESCRIPTORS } from "./fd_table.ts";
import { lockState, MAX_LOCKS } from "./file_locks.ts";
import { MAX_NAME_BYTES } from "./folder_entries.ts";
import { fileIdentity } from "./file_identity.ts";
import { filesUpgrades } from "./files_upgrades.ts";
import { MAX_INOTIFY_BYTES, MAX_WATCHES } from "./inotify_file.ts";
import {
  MAX_ALL_PIPES_BYTES,
  MAX_PIPE_BYTES,
  MIN_PIPE_BYTES,
  PIPE_BYTES,
} from "./pipe.ts";
import { pluginFile } from "./plugin_file_state.ts";
import {
  LEAST_BYTES as LEAST_MESSAGE_BYTES,
  MAX_SOCKET_BYTES,
  SOCKET_KIND,
} from "./socket_end.ts";
import { MAX_ALL_SOCKETS_BYTES } from "./socket_space.ts";
import { TERMIOS_BYTES } from "./terminal.ts";
import { MAX_ALL_VIRTUAL_BYTES, MAX_VIRTUAL_BYTES } from "./virtual_file.ts";

/** How much console input that was not read yet an image may hold. */
export const MAX_CONSOLE_INPUT_BYTES = 8 * 1024 * 1024;

/** How many mapped files are held open at most. */
const MAX_HELD = 400;

/** How many files are kept at most for calls whose descriptors were closed. */
const MAX_KEPT = 4096;

/** How many of the bytes of pipes and their like are in the table at most. */
const MAX_INLINE_BYTES = 16 * 1024 * 1024;

const flags = v.pipe(v.number(), v.integer());

function sumOf(lengths: readonly number[]): number {
  return lengths.reduce((sum, one) => sum + one, 0);
}

const hostFile = v.object({
  type: v.literal("host"),
  flags,
  /** Path in the program's root: text, or the bytes of what is not UTF-8. */
  path: v.union([textPath, rawPath]),
  /** Of a folder: a number of the file system's own, up to 63 bits. */
  offset: v.pipe(u64, v.maxValue(0x7fff_ffff_ffff_ffffn)),
  isFolder: v.boolean(),
  /** Of a folder that was listed in part: the name that comes next, or none. */
  nextEntry: v.exactOptional(bytes(MAX_NAME_BYTES)),
  identity: fileIdentity,
  /** Whether the file had no name any more. */
  isUnlinked: v.boolean(),
  /** Whether its content is in the parts that follow. */
  isCarried: v.boolean(),
  /** F_SEAL_* of a file in memory; null where there cannot be any. */
  seals: v.nullable(v.pipe(count, v.maxValue(0x3f))),
});
const virtualFile = v.object({
  type: v.literal("virtual"),
  flags,
  /** Path without links, a character a byte. */
  path: bytePath,
  /** Type and permissions, as st_mode has them. */
  mode: v.pipe(count, v.maxValue(0o177777)),
  /** What it held when it was opened: index into `texts`. */
  text: count,
  sizeBytes: count,
  position: count,
});
/** What an image knows of an open host file. */
export type HostFileState = v.InferOutput<typeof hostFile>;

const eventFile = v.object({
  type: v.literal("eventfd"),
  flags,
  value: v.pipe(u64, v.maxValue(MAX_EVENT_VALUE)),
  isSemaphore: v.boolean(),
});

const signalFile = v.object({
  type: v.literal("signalfd"),
  flags,
  /** The signals that are read from it: bit N - 1 is signal N. */
  mask: u64,
});

const inotifyFile = v.object({
  type: v.literal("inotify"),
  flags,
  /** What it watches. */
  watches: v.pipe(
    v.array(v.object({
      number: v.pipe(count, v.minValue(1), v.maxValue(0x7fff_ffff)),
      /** Path in the program's root, a character a byte. */
      path: bytePath,
      /** For which events: IN_*. */
      mask: u32,
    })),
    v.maxLength(MAX_WATCHES),
  ),
  /** The number of the next watch. */
  next: v.pipe(count, v.minValue(1), v.maxValue(0x7fff_ffff)),
  /** Events that were not read. */
  events: bytes(MAX_INOTIFY_BYTES),
});

const timerFile = v.object({
  type: v.literal("timerfd"),
  flags,
  /** The number of its clock (linux/time.h). */
  clock: v.pipe(count, v.maxValue(9)),
  /** When it expires next, nanoseconds; null: it is not armed. */
  dueNs: v.nullable(u64),
  /** From one expiration to the next, nanoseconds; 0: there is one only. */
  intervalNs: u64,
  /** Whether `dueNs` is of the wall clock, and not of monotonic time. */
  isWallClock: v.boolean(),
  /** Expirations that were not read. */
  expirations: count,
});

const socketEnd = v.object({
  type: v.literal("socket"),
  flags,
  kind: v.pipe(
    count,
    v.check(
      (kind) => Object.values<number>(SOCKET_KIND).includes(kind),
      "there is no such kind of socket",
    ),
  ),
  inode: count,
  /** Index of the other end into `files`; null: it was closed. */
  peer: v.nullable(count),
  /** Whether it was connected, of one whose other end was closed. */
  wasConnected: v.boolean(),
  /** Bits: 1 nothing more is received, 2 nothing is sent. */
  shut: v.pipe(count, v.maxValue(3)),
  /** The error that the next call gives; 0: none. */
  error: v.pipe(count, v.maxValue(4095)),
  /** SO_SNDBUF. */
  sendBytes: v.pipe(count, v.maxValue(MAX_SOCKET_BYTES)),
  /** SO_RCVBUF. */
  receiveBytes: v.pipe(count, v.maxValue(MAX_SOCKET_BYTES)),
  /** What was sent to it and not received, the oldest first: how many bytes. */
  messageBytes: v.pipe(
    v.array(v.pipe(count, v.maxValue(MAX_SOCKET_BYTES))),
    v.maxLength(1024),
  ),
});

const epollFile = v.object({
  type: v.literal("epoll"),
  flags,
  /** Those that may be ready first, in their order. */
  interests: v.pipe(
    v.array(v.object({
      /** The descriptor that it was added by. */
      fd: count,
      /** Index into `files`. */
      file: count,
      /** Events and flags. */
      events: u32,
      /** What the program is told with the events. */
      data: u64,
      /** Whether it is in the list of those that may be ready. */
      isReady: v.boolean(),
      /** What was last known to hold, of a timer. */
      seen: v.pipe(count, v.maxValue(0xffff)),
    })),
    v.maxLength(MAX_INTERESTS * (MAX_DESCRIPTORS + MAX_HELD)),
  ),
});

/** How descriptors travel. */
export const filesState = {
  kind: "fd-table",
  version: 6,
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
          eventFile,
          timerFile,
          signalFile,
          inotifyFile,
          socketEnd,
          epollFile,
        ])),
        v.maxLength(MAX_DESCRIPTORS + MAX_HELD + MAX_KEPT),
        v.check(
          (files) =>
            files.reduce(
              (sum, file) =>
                file.type === "socket" ? sum + sumOf(file.messageBytes) : sum,
              0,
              // One message may go beyond what there was room for.
            ) <= MAX_ALL_SOCKETS_BYTES + MAX_SOCKET_BYTES,
          "sockets hold more than all may together",
        ),
        v.check(
          (files) =>
            files.reduce(
                  (sum, file) =>
                    file.type === "socket"
                      ? sum + file.messageBytes.length
                      : sum,
                  0,
                ) * LEAST_MESSAGE_BYTES <=
              MAX_ALL_SOCKETS_BYTES + MAX_SOCKET_BYTES,
          "sockets hold more messages than all may together",
        ),
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
      /** Files that calls go on with whose descriptors were closed. */
      kept: v.pipe(
        v.array(v.object({
          /** Of which thread the call is. */
          tid: count,
          fd: v.pipe(count, v.maxValue(MAX_DESCRIPTORS - 1)),
          /** Index into `files`. */
          file: count,
        })),
        v.maxLength(MAX_KEPT),
      ),
      pipes: v.pipe(
        v.array(v.object({
          inode: count,
          readEndOpen: v.boolean(),
          writeEndOpen: v.boolean(),
          /** How many bytes it holds. */
          capacityBytes: v.pipe(
            count,
            v.minValue(MIN_PIPE_BYTES),
            v.maxValue(MAX_PIPE_BYTES),
          ),
          /** How many bytes were written and not yet read. */
          lengthBytes: v.pipe(count, v.maxValue(MAX_PIPE_BYTES)),
          /** The oldest of them, packet by packet: how many bytes, and which is one. */
          segments: v.pipe(
            v.array(v.object({
              lengthBytes: v.pipe(
                count,
                v.minValue(1),
                v.maxValue(MAX_PIPE_BYTES),
              ),
              isPacket: v.boolean(),
            })),
            v.maxLength(MAX_PIPE_BYTES / MIN_PIPE_BYTES * 2),
          ),
        })),
        v.maxLength(MAX_DESCRIPTORS),
        v.check(
          (pipes) =>
            pipes.reduce(
              (sum, { capacityBytes, lengthBytes }) =>
                sum + Math.max(capacityBytes - PIPE_BYTES, 0) +
                Math.max(lengthBytes - capacityBytes, 0),
              0,
            ) <= MAX_ALL_PIPES_BYTES,
          "pipes hold more than all may together",
        ),
      ),
      /** What files of /proc and /sys hold: how many bytes. */
      texts: v.pipe(
        v.array(v.pipe(count, v.maxValue(MAX_VIRTUAL_BYTES))),
        v.maxLength(MAX_DESCRIPTORS + MAX_HELD + MAX_KEPT),
        v.check(
          (texts) => sumOf(texts) <= MAX_ALL_VIRTUAL_BYTES,
          "files of /proc hold more than all may together",
        ),
      ),
      /**
       * The bytes of pipes, then of messages, then of texts, each in the order
       * of the table; those that are not here are in the parts that follow.
       */
      buffered: bytes(MAX_INLINE_BYTES),
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
    v.object({ part: v.literal("buffered") }),
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
  // are mapped, those of /proc and /sys, and locks, version 4 the terminal, what
  // can be waited for, and how much a pipe holds, version 5 files of signals and of inotify,
  // packets in pipes, seals, and files that calls go on with, version 6 parts with
  // the bytes of pipes, sockets and files of /proc, which were in the table.
  upgrades: filesUpgrades,
} satisfies StateSchema<unknown>;

/** A part of the state of the descriptors, version 6. */
export type FilesStateV6 = v.InferOutput<typeof filesState.schema>;
/** The table itself. */
export type FilesTable = Extract<FilesStateV6, { part: "table" }>;
/** What an image says of an open file. */
export type FileState = FilesTable["files"][number];

/** A part as it was read: what it says, and its bytes. */
export interface FilesPart {
  /** What it says. */
  readonly state: FilesStateV6;
  /** Its bulk data. */
  readonly data: () => Uint8Array;
}
