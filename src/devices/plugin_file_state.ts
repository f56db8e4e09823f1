/**
 * How an open file of a device that is a plugin travels, and the limits on what
 * travels.
 *
 * @module
 */

import * as v from "valibot";
import { bytes, count, textPath, u32 } from "../state/mod.ts";

/** Most bytes that one call moves; reads and writes may be cut. */
export const MAX_CALL_BYTES = 256 * 1024;

const operation = v.picklist(["read", "write", "ioctl"]);

/** A handler of which one call at a time is under way. */
export type Operation = v.InferOutput<typeof operation>;

/** Lowest result of a system call. */
export const LOWEST_RESULT = -4095;

/** Most calls that were answered and not taken: one a task and operation. */
const MAX_ANSWERS = 3 * 1024;

const answered = v.object({
  operation,
  /** The task whose call it is; 0: whoever makes it, of calls that do not wait. */
  caller: v.optional(count, 0),
  /** Of an ioctl: its number. */
  request: u32,
  /** Where it reads or writes, if the file has an offset. */
  offset: v.nullable(count),
  /** What the program passed. */
  argument: bytes(MAX_CALL_BYTES),
  /** What the system call gives. */
  result: v.pipe(
    v.number(),
    v.integer(),
    v.minValue(LOWEST_RESULT),
    v.maxValue(0x7fff_ffff),
  ),
  /** What the program gets. */
  bytes: bytes(MAX_CALL_BYTES),
});

/** How an open file of a device travels. */
export const pluginFile = v.object({
  type: v.literal("plugin"),
  flags: v.pipe(v.number(), v.integer()),
  /** The device's id. */
  device: v.pipe(v.string(), v.maxLength(48)),
  path: textPath,
  /** The file offset; 0 of one that has none. */
  position: count,
  /** What the device's own `dump` of this file gave; absent: it has none. */
  state: v.exactOptional(v.unknown()),
  /** Calls that were answered, and whose answer the program has not taken. */
  answers: v.pipe(v.array(answered), v.maxLength(MAX_ANSWERS)),
  /** Calls that were under way without an answer. */
  underWay: v.pipe(v.array(operation), v.maxLength(3)),
});

/** What an image knows of an open file of a device. */
export type PluginFileState = v.InferOutput<typeof pluginFile>;
