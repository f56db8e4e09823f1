/**
 * Saving memory.
 *
 * @module
 */

import {
  type Component,
  type Dump,
  nodeZlib,
  type Part,
} from "../state/mod.ts";
import type { BlockAllocator } from "./blocks.ts";
import { BLOCK_BYTES, PAGE_BYTES } from "./layout.ts";
import type { Memory } from "./memory.ts";
import {
  byGpa,
  bytesOf,
  memoryState,
  PACKED_PART_BYTES,
  PART_BYTES,
  type Run,
} from "./memory_state.ts";

/** How much is looked at as a whole before page by page. */
const SPAN_BYTES = 64 * 1024;

/** How many pages a block has. */
const PAGES_PER_BLOCK = BLOCK_BYTES / PAGE_BYTES;

/** The component that dumps memory. Only while every vCPU is paused. */
export class MemorySaver implements Component {
  readonly id = "memory";
  readonly kind: string = memoryState.kind;
  readonly version: number = memoryState.version;
  readonly #memory: Memory;
  readonly #blocks: BlockAllocator;
  readonly #compress: boolean;

  /** @param blocks which parts of memory are in use @param compress with zstd */
  constructor(memory: Memory, blocks: BlockAllocator, compress = false) {
    this.#memory = memory;
    this.#blocks = blocks;
    this.#compress = compress;
  }

  /** Answers with the pages that are not zero. */
  dump(): Dump {
    return { answer: "many", parts: this.#parts() };
  }

  /**
   * Blocks without a page of zeros first, aligned so that they can be mapped as
   * large pages; then the pages of the other blocks.
   */
  *#parts(): Generator<Part> {
    const { whole, rest } = this.#runs();
    if (!this.#compress) {
      for (const runs of split(whole, PART_BYTES)) {
        yield { ...this.#part(runs), dataAlignBytes: BLOCK_BYTES };
      }
    }
    const others = this.#compress ? [...whole, ...rest].sort(byGpa) : rest;
    const most = this.#compress ? PACKED_PART_BYTES : PART_BYTES;
    for (const runs of split(others, most)) yield this.#part(runs);
    // An empty part at least: it says how much memory there is.
    if (whole.length + rest.length === 0) yield this.#part([]);
  }

  #part(runs: Run[]): Part {
    const bytes = bytesOf(runs);
    const data = runs.map(([gpa, pages]) =>
      this.#memory.bytes(gpa, pages * PAGE_BYTES)
    );
    const { sizeBytes } = this.#memory;
    if (!this.#compress || bytes === 0) {
      return { value: { sizeBytes, encoding: "raw", runs }, data };
    }
    const whole = new Uint8Array(bytes);
    let at = 0;
    for (const piece of data) {
      whole.set(piece, at);
      at += piece.length;
    }
    const { constants, zstdCompressSync } = nodeZlib();
    const frame = zstdCompressSync(whole, {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
    });
    // What does not get smaller stays as it is, and can be mapped.
    if (frame.length >= bytes) {
      return { value: { sizeBytes, encoding: "raw", runs }, data };
    }
    return { value: { sizeBytes, encoding: "zstd", runs }, data: [frame] };
  }

  /** Runs of pages that are not zero: of whole blocks, and of the others. */
  #runs(): { whole: Run[]; rest: Run[] } {
    const memory = this.#memory;
    const whole: Run[] = [];
    const rest: Run[] = [];
    for (const block of this.#blocks.used()) {
      if (memory.isZero(block, BLOCK_BYTES)) continue;
      const runs: Run[] = [];
      for (let span = block; span < block + BLOCK_BYTES; span += SPAN_BYTES) {
        if (memory.isZero(span, SPAN_BYTES)) continue;
        for (let page = span; page < span + SPAN_BYTES; page += PAGE_BYTES) {
          if (!memory.isZero(page, PAGE_BYTES)) append(runs, page, 1);
        }
      }
      if (runs[0][1] === PAGES_PER_BLOCK) append(whole, ...runs[0]);
      else for (const run of runs) append(rest, ...run);
    }
    return { whole, rest };
  }
}

/** Adds pages to a list of runs, to the last one where they follow it. */
function append(runs: Run[], gpa: number, pages: number): void {
  const last = runs.at(-1);
  if (last && last[0] + last[1] * PAGE_BYTES === gpa) last[1] += pages;
  else runs.push([gpa, pages]);
}

/** Cuts runs into lists of at most so many bytes. */
function* split(runs: readonly Run[], mostBytes: number): Generator<Run[]> {
  let part: Run[] = [];
  let room = mostBytes / PAGE_BYTES;
  for (const [gpa, pages] of runs) {
    for (let done = 0; done < pages;) {
      const take = Math.min(pages - done, room);
      part.push([gpa + done * PAGE_BYTES, take]);
      done += take;
      room -= take;
      if (room > 0) continue;
      yield part;
      part = [];
      room = mostBytes / PAGE_BYTES;
    }
  }
  if (part.length > 0) yield part;
}
