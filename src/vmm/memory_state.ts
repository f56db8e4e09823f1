/**
 * How memory travels: the pages that are not zero, in parts.
 *
 * @module
 */

import * as v from "valibot";
import { count, type StateSchema } from "../state/mod.ts";
import { BLOCK_BYTES, PAGE_BYTES } from "./layout.ts";

/** Most bytes of pages in one part: few parts, so that restore is short. */
export const PART_BYTES = 32 * BLOCK_BYTES;

/** How a part of memory travels. */
export const memoryState = {
  kind: "memory",
  version: 1,
  schema: v.object({
    /** Bytes of memory that the VM has. */
    sizeBytes: count,
    /** Whether the data are the pages themselves or one zstd frame of them. */
    encoding: v.picklist(["raw", "zstd"]),
    /** Pairs: gpa of the first page, how many pages. */
    runs: v.pipe(
      v.array(v.tuple([count, v.pipe(count, v.minValue(1))])),
      v.maxLength(PART_BYTES / PAGE_BYTES),
    ),
  }),
} satisfies StateSchema<unknown>;

/** The state of a part of memory, version 1. */
export type MemoryPartV1 = v.InferOutput<typeof memoryState.schema>;

/** Most bytes of pages in one part that is packed, which takes memory. */
export const PACKED_PART_BYTES = 4 * BLOCK_BYTES;

/** A run of pages: gpa of the first, and how many. */
export type Run = [gpa: number, pages: number];

/** For sorting runs by address. */
export function byGpa(a: Run, b: Run): number {
  return a[0] - b[0];
}

/** How many bytes runs are of. */
export function bytesOf(runs: readonly Run[]): number {
  return runs.reduce((pages, run) => pages + run[1], 0) * PAGE_BYTES;
}
