/**
 * The memory behind a program's areas.
 *
 * Each block of virtual addresses that holds anything has one block of guest
 * memory behind it, mapped as one large page where an area covers all of it.
 *
 * @module
 */

import * as v from "valibot";
import { count as address } from "../state/mod.ts";
import {
  BLOCK_BYTES,
  BlockAllocator,
  type Memory,
  PAGE_BYTES,
  PageTables,
  TableAllocator,
  USER_END_VA,
  VmError,
} from "../vmm/mod.ts";

/** The fields of an address space that say which memory is where. */
export const areaMemoryFields = {
  /**
   * Runs: block number of the first virtual address, gpa of its block, and how
   * many blocks follow each other in both.
   */
  blocks: v.array(
    v.tuple([address, address, v.pipe(address, v.minValue(1))]),
  ),
  /** Where the next page table comes from, and where its block ends. */
  tables: v.object({
    next: address,
    end: address,
    blocks: v.array(address),
  }),
};

const areaMemoryState = v.object(areaMemoryFields);

/** Which memory is where, version 1. */
export type AreaMemoryStateV1 = v.InferOutput<typeof areaMemoryState>;

/** Which block of memory is behind which block of virtual addresses. */
export class AreaMemory {
  /** The page tables. */
  readonly tables: PageTables;
  /** Which blocks of memory are in use. */
  readonly blocks: BlockAllocator;

  readonly #memory: Memory;
  readonly #blockOf = new Map<number, number>();
  readonly #tables: TableAllocator;

  /**
   * Nothing, in memory that holds the boot pages; with `state`, what was saved
   * with this memory.
   *
   * @throws {VmError} when the state does not fit the memory
   */
  constructor(memory: Memory, state?: AreaMemoryStateV1) {
    this.#memory = memory;
    this.blocks = new BlockAllocator(memory.sizeBytes);
    this.blocks.take(0);
    if (state) this.#load(state);
    this.#tables = new TableAllocator(memory, this.blocks, state?.tables);
    this.tables = new PageTables(memory, () => {
      const table = this.#tables.allocate();
      if (table < 0) throw new OutOfMemoryError();
      return table;
    });
  }

  #load(state: AreaMemoryStateV1): void {
    const wrong = (what: string) =>
      new VmError("VM_MEMORY", `Cannot restore the address space: ${what}`);
    const end = Math.floor(USER_END_VA / BLOCK_BYTES) + 1;
    for (const [first, firstGpa, count] of state.blocks) {
      // What is no memory is refused below, before there are too many.
      for (let i = 0; i < count; i++) {
        const block = first + i;
        const gpa = firstGpa + i * BLOCK_BYTES;
        if (block >= end || this.#blockOf.has(block)) {
          throw wrong(`block number ${block} is out of place`);
        }
        this.blocks.take(gpa);
        this.#blockOf.set(block, gpa);
      }
    }
    for (const gpa of state.tables.blocks) this.blocks.take(gpa);
    const { next, end: tablesEnd } = state.tables;
    if (
      next % PAGE_BYTES !== 0 || tablesEnd % BLOCK_BYTES !== 0 ||
      next > tablesEnd || tablesEnd - next > BLOCK_BYTES ||
      tablesEnd > this.#memory.sizeBytes
    ) {
      throw wrong("the page tables are out of place");
    }
  }

  /** Which memory is where. */
  state(): AreaMemoryStateV1 {
    const blocks: [block: number, gpa: number, count: number][] = [];
    for (const [block, gpa] of [...this.#blockOf].sort((a, b) => a[0] - b[0])) {
      const run = blocks.at(-1);
      const follows = run && block === run[0] + run[2] &&
        gpa === run[1] + run[2] * BLOCK_BYTES;
      if (follows) run[2]++;
      else blocks.push([block, gpa, 1]);
    }
    return { blocks, tables: this.#tables.places };
  }

  /**
   * Numbers of the blocks that `[start, end)` touches and that have memory.
   * A program may name far more addresses than there is memory.
   */
  blocksIn(start: number, end: number): number[] {
    const first = Math.floor(start / BLOCK_BYTES);
    const last = Math.ceil(end / BLOCK_BYTES) - 1;
    if (last - first >= this.#blockOf.size) {
      return [...this.#blockOf.keys()]
        .filter((block) => block >= first && block <= last)
        .sort((a, b) => a - b);
    }
    const blocks: number[] = [];
    for (let block = first; block <= last; block++) {
      if (this.#blockOf.has(block)) blocks.push(block);
    }
    return blocks;
  }

  /**
   * Puts memory behind the pages of `[start, end)` that have none.
   *
   * @throws {OutOfMemoryError} when there is none left
   */
  populate(start: number, end: number, prot: number): void {
    let block = Math.floor(start / BLOCK_BYTES);
    for (; block * BLOCK_BYTES < end; block++) {
      const blockVa = block * BLOCK_BYTES;
      let gpa = this.#blockOf.get(block);
      if (gpa === undefined) {
        gpa = this.blocks.allocate();
        if (gpa < 0) throw new OutOfMemoryError();
        this.#blockOf.set(block, gpa);
      }
      const from = Math.max(start, blockVa);
      const to = Math.min(end, blockVa + BLOCK_BYTES);
      if (to - from === BLOCK_BYTES && this.tables.isBlockFresh(blockVa)) {
        this.tables.mapBlock(blockVa, gpa, prot);
        continue;
      }
      for (let va = from; va < to; va += PAGE_BYTES) {
        if (!this.tables.isPopulated(va)) {
          this.tables.mapPage(va, gpa + (va - blockVa), prot);
        }
      }
    }
  }

  /**
   * Puts memory behind pages of one block that is touched now.
   *
   * @throws {OutOfMemoryError} when there is none left
   */
  populateTouched(start: number, end: number, prot: number): void {
    const block = Math.floor(start / BLOCK_BYTES);
    const isNew = !this.#blockOf.has(block);
    this.populate(start, end, prot);
    if (isNew) this.#memory.prefault(this.#blockOf.get(block)!);
  }

  /** The gpa of the byte at `va`, which has memory. */
  locate(va: number): number {
    const block = Math.floor(va / BLOCK_BYTES);
    return this.#blockOf.get(block)! + (va - block * BLOCK_BYTES);
  }

  /**
   * Gives back the memory behind `[start, end)`, which no area uses.
   *
   * @param isUsed whether an area overlaps a range
   */
  release(
    start: number,
    end: number,
    isUsed: (start: number, end: number) => boolean,
  ): void {
    for (const block of this.blocksIn(start, end)) {
      const gpa = this.#blockOf.get(block)!;
      const blockVa = block * BLOCK_BYTES;
      if (!isUsed(blockVa, blockVa + BLOCK_BYTES)) {
        this.tables.unmapBlock(blockVa);
        this.#memory.discard(gpa, BLOCK_BYTES);
        this.blocks.release(gpa);
        this.#blockOf.delete(block);
        continue;
      }
      const from = Math.max(start, blockVa);
      const to = Math.min(end, blockVa + BLOCK_BYTES);
      this.#eachRun(
        from,
        to,
        (va) => this.tables.unmapPage(va),
        (at, bytes) => this.#memory.discard(gpa + (at - blockVa), bytes),
      );
    }
  }

  /** Calls `run` for each run of pages in `[start, end)` for which `page` holds. */
  #eachRun(
    start: number,
    end: number,
    page: (va: number) => boolean,
    run: (va: number, lengthBytes: number) => void,
  ): void {
    let from = -1;
    for (let va = start; va <= end; va += PAGE_BYTES) {
      const holds = va < end && page(va);
      if (holds && from < 0) from = va;
      else if (!holds && from >= 0) {
        run(from, va - from);
        from = -1;
      }
    }
  }

  /**
   * Changes the protection of pages that have memory.
   *
   * @param revokes whether something was allowed that is no more: it must leave
   * the CPU's caches
   */
  protect(
    start: number,
    end: number,
    prot: number,
    revokes: boolean,
  ): void {
    for (const block of this.blocksIn(start, end)) {
      const gpa = this.#blockOf.get(block)!;
      const blockVa = block * BLOCK_BYTES;
      const from = Math.max(start, blockVa);
      const to = Math.min(end, blockVa + BLOCK_BYTES);
      if (to - from === BLOCK_BYTES && this.tables.isLarge(blockVa)) {
        this.tables.protectBlock(blockVa, prot);
        if (revokes) this.#memory.dropTranslations(gpa, BLOCK_BYTES);
        continue;
      }
      this.#eachRun(
        from,
        to,
        (page) =>
          this.tables.isPopulated(page) && this.tables.protectPage(page, prot),
        (at, bytes) => {
          if (revokes) {
            this.#memory.dropTranslations(gpa + (at - blockVa), bytes);
          }
        },
      );
    }
  }

  /** Gives the memory of the block at `va` to the one at `to`, which has none. */
  moveBlock(va: number, to: number, prot: number): void {
    const gpa = this.#blockOf.get(va / BLOCK_BYTES)!;
    if (this.tables.isLarge(va) && this.tables.isBlockFresh(to)) {
      this.tables.unmapBlock(va);
      this.tables.mapBlock(to, gpa, prot);
    } else {
      for (let at = 0; at < BLOCK_BYTES; at += PAGE_BYTES) {
        if (this.tables.unmapPage(va + at)) {
          this.tables.mapPage(to + at, gpa + at, prot);
        }
      }
    }
    this.#memory.dropTranslations(gpa, BLOCK_BYTES);
    this.#blockOf.delete(va / BLOCK_BYTES);
    this.#blockOf.set(to / BLOCK_BYTES, gpa);
  }

  /** Copies a page that has memory to another, which has it too. */
  copyPage(from: number, to: number): void {
    const into = this.locate(to);
    const gpa = this.locate(from);
    this.#memory.u8.copyWithin(into, gpa, gpa + PAGE_BYTES);
    this.#memory.markDirty(into, PAGE_BYTES);
  }

  /** Makes anonymous pages read as zero again, as MADV_DONTNEED does. */
  zero(va: number, lengthBytes: number): void {
    const end = va + lengthBytes;
    for (const block of this.blocksIn(va, end)) {
      const gpa = this.#blockOf.get(block)!;
      const blockVa = block * BLOCK_BYTES;
      this.#eachRun(
        Math.max(va, blockVa),
        Math.min(end, blockVa + BLOCK_BYTES),
        (page) => this.tables.isPopulated(page),
        (at, bytes) => this.#memory.discard(gpa + (at - blockVa), bytes),
      );
    }
  }

  /** Whether each page from `va` on has memory of its own: 1 or 0 each. */
  resident(va: number, pages: Uint8Array): void {
    pages.fill(0);
    const end = va + pages.length * PAGE_BYTES;
    for (const block of this.blocksIn(va, end)) {
      const blockVa = block * BLOCK_BYTES;
      const last = Math.min(end, blockVa + BLOCK_BYTES);
      for (let at = Math.max(va, blockVa); at < last; at += PAGE_BYTES) {
        if (this.tables.isPopulated(at)) pages[(at - va) / PAGE_BYTES] = 1;
      }
    }
  }
}

/** The guest has used all the memory it was given. */
export class OutOfMemoryError extends VmError {
  override name = "OutOfMemoryError";

  constructor() {
    super("VM_MEMORY", "The program needs more memory than the VM has", {
      hint: "give it more with --memory",
    });
  }
}
