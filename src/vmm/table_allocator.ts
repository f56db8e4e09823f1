/**
 * Where page tables come from, and go back to.
 *
 * @module
 */

import type { BlockAllocator } from "./blocks.ts";
import { FIRST_FREE_TABLES } from "./boot.ts";
import { BLOCK_BYTES, KERNEL_BLOCK, PAGE_BYTES } from "./layout.ts";
import type { Memory } from "./memory.ts";
import { PTE } from "./page_tables.ts";

/** The first page that a table is made in. */
const FIRST_TABLE = KERNEL_BLOCK.tables + FIRST_FREE_TABLES * PAGE_BYTES;

/** So many unused tables make it worth giving them back: a quarter of a block. */
const WORTHWHILE = BLOCK_BYTES / PAGE_BYTES / 4;

/** Where the next page table comes from. */
export interface TablePlaces {
  /** The next page that was never a table. */
  readonly next: number;
  /** Where its block ends. */
  readonly end: number;
  /** Blocks of tables, beside the kernel's own. */
  readonly blocks: readonly number[];
}

/** The tables that a program's addresses lead to. */
interface TablesInUse {
  readonly all: Set<number>;
  /** Tables of pages that hold nothing: the index of the entry that leads there. */
  readonly empty: Map<number, number>;
}

/**
 * Hands out pages for page tables. Those that came to hold nothing are found
 * when a block of memory would be needed for more of them: to unmap costs
 * nothing then, and a program that maps ever new addresses has enough. Only the
 * tables of pages are given back, not what leads to them: one for each GiB.
 */
export class TableAllocator {
  readonly #memory: Memory;
  readonly #blocks: BlockAllocator;
  #next: number;
  #end: number;
  readonly #own: number[];
  /** Pages that were tables, and that nothing leads to. */
  #spare: number[] = [];

  /**
   * @param blocks where more memory for tables comes from
   * @param places where tables are in memory that was saved: checked already
   */
  constructor(memory: Memory, blocks: BlockAllocator, places?: TablePlaces) {
    this.#memory = memory;
    this.#blocks = blocks;
    this.#next = places?.next ?? FIRST_TABLE;
    this.#end = places?.end ?? BLOCK_BYTES;
    this.#own = [...places?.blocks ?? []];
  }

  /** Where the next one comes from: what is spare is found again. */
  get places(): { next: number; end: number; blocks: number[] } {
    return { next: this.#next, end: this.#end, blocks: [...this.#own] };
  }

  /** The gpa of a zeroed page for one more table; -1 when memory is used up. */
  allocate(): number {
    if (this.#spare.length === 0 && this.#next === this.#end) {
      if (!this.#findMore()) return -1;
    }
    const spare = this.#spare.pop();
    if (spare !== undefined) {
      this.#memory.u8.fill(0, spare, spare + PAGE_BYTES);
      this.#memory.markDirty(spare, PAGE_BYTES);
      return spare;
    }
    this.#next += PAGE_BYTES;
    return this.#next - PAGE_BYTES;
  }

  #findMore(): boolean {
    if (this.#giveBack(WORTHWHILE)) return true;
    const block = this.#blocks.allocate();
    if (block < 0) return this.#giveBack(1);
    this.#own.push(block);
    this.#next = block;
    this.#end = block + BLOCK_BYTES;
    return true;
  }

  /**
   * Takes tables that hold nothing out of use, if there are so many.
   *
   * Tables that lead to others stay: one of them may have been made a moment
   * ago, for the table that is wanted now.
   */
  #giveBack(least: number): boolean {
    const { all, empty } = tablesInUse(this.#memory);
    const spare: number[] = [];
    for (const start of [FIRST_TABLE, ...this.#own]) {
      const end = (Math.floor(start / BLOCK_BYTES) + 1) * BLOCK_BYTES;
      for (let gpa = start; gpa < end; gpa += PAGE_BYTES) {
        if (!all.has(gpa) || empty.has(gpa)) spare.push(gpa);
      }
    }
    if (spare.length < least) return false;
    for (const gpa of spare) {
      const entry = empty.get(gpa);
      if (entry === undefined) continue;
      this.#memory.u32[entry] = this.#memory.u32[entry + 1] = 0;
      this.#memory.markDirty(entry * 4, 8);
    }
    // A vCPU may know where a table was, and would find another's pages there.
    this.#memory.dropAllTranslations();
    this.#spare = spare;
    return true;
  }
}

/** Finds every table below the root that is in use for a program's addresses. */
function tablesInUse(memory: Memory): TablesInUse {
  const { u32 } = memory;
  const all = new Set<number>();
  const empty = new Map<number, number>();
  const look = (table: number, depth: number) => {
    // The upper half of the root is the kernel's.
    const count = depth === 0 ? 256 : 512;
    for (let i = 0; i < count; i++) {
      const entry = table / 4 + 2 * i;
      if (!(u32[entry] & PTE.present) || u32[entry] & PTE.large) continue;
      const next = (u32[entry + 1] & 0xfffff) * 0x1_0000_0000 +
        ((u32[entry] & 0xffff_f000) >>> 0);
      // Entries of an image may hold anything: PageTables refuses this one.
      if (next + PAGE_BYTES > memory.sizeBytes) continue;
      // And may lead to one table twice: then it stays.
      if (all.has(next)) {
        empty.delete(next);
        continue;
      }
      all.add(next);
      if (depth < 2) look(next, depth + 1);
      else if (memory.isZero(next, PAGE_BYTES)) empty.set(next, entry);
    }
  };
  look(KERNEL_BLOCK.pml4, 0);
  return { all, empty };
}
