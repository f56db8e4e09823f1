/**
 * A program's address space: its areas, and when memory is put behind them.
 *
 * What an area allows is populated when it is made, as long as memory is
 * plentiful, else when it is first touched.
 *
 * @module
 */

import type { Component, Dump } from "../state/mod.ts";
import type { OpenFile } from "../devices/mod.ts";
import { ERRNO } from "../kvm/mod.ts";
import {
  BLOCK_BYTES,
  type BlockAllocator,
  type Memory,
  PAGE_BYTES,
  type PageTables,
  PROT,
  USER_END_VA,
} from "../vmm/mod.ts";
import {
  addressSpaceState,
  type AddressSpaceStateV5,
  areasOf,
  type IsDevice,
  stateOfAreas,
} from "./address_space_state.ts";
import { AreaMemory } from "./area_memory.ts";
import { type AreaSource, movedBy } from "./area_source.ts";
import {
  allows,
  type Area,
  type AreaKind,
  AreaList,
  commits,
  MAX_AREAS,
  MOVE_AREAS,
} from "./areas.ts";
import { MappedFiles } from "./mapped_files.ts";
import { OuterAreas } from "./outer_areas.ts";
import {
  LOWEST_VA,
  MMAP_TOP_VA,
  pageCeil,
  STACK_BYTES,
  STACK_EAGER_BYTES,
} from "./space_layout.ts";
import { VDSO_END_VA } from "./vdso/layout.ts";

/** Where mappings are placed. */
const ANYWHERE = {
  start: LOWEST_VA,
  end: VDSO_END_VA - STACK_BYTES - BLOCK_BYTES,
};

/** The address space of the program. */
export class AddressSpace implements Component {
  readonly id = "address-space";
  readonly kind: string = addressSpaceState.kind;
  readonly version: number = addressSpaceState.version;

  /** The areas, in order. */
  readonly areas = new AreaList();
  /** The page tables. */
  readonly tables: PageTables;
  /** Which blocks of memory are in use. */
  readonly blocks: BlockAllocator;

  /** Files that the program shares. */
  readonly files: MappedFiles;
  /** Those of the areas that lead out of memory. */
  readonly outer: OuterAreas;

  readonly #behind: AreaMemory;
  readonly #memoryBytes: number;
  #brkStart = 0;
  #brk = 0;

  /**
   * An empty address space in memory that holds the boot pages; with `state`,
   * the one that was saved with this memory.
   *
   * @param isDevice whether a device claims all of a range of physical addresses
   * @throws {VmError} when the state does not fit the memory
   */
  constructor(
    memory: Memory,
    state?: AddressSpaceStateV5,
    isDevice: IsDevice = () => false,
  ) {
    this.#behind = new AreaMemory(memory, state);
    this.#memoryBytes = memory.sizeBytes;
    this.tables = this.#behind.tables;
    this.blocks = this.#behind.blocks;
    this.files = new MappedFiles(memory.files, state?.files);
    this.outer = new OuterAreas(memory, this.tables, this.areas, this.files);
    if (!state) return;
    for (const area of areasOf(state, this.files, isDevice)) {
      this.areas.insert(area);
    }
    this.#brkStart = state.brkStart;
    this.#brk = state.brk;
  }

  /** Answers with the areas and which memory is behind them. */
  dump(): Dump {
    const state: AddressSpaceStateV5 = {
      ...stateOfAreas(this.areas.all),
      files: this.files.state(),
      brkStart: this.#brkStart,
      brk: this.#brk,
      ...this.#behind.state(),
    };
    return { answer: "payload", value: state };
  }

  /** Sets where the heap starts: at the first page after the program. */
  setBrkStart(va: number): void {
    this.#brkStart = this.#brk = va;
  }

  /** Moves the end of the heap, as brk(2): returns where it is afterwards. */
  brk(to: number): number {
    if (!(to >= this.#brkStart)) return this.#brk;
    const oldEnd = pageCeil(this.#brk);
    const newEnd = pageCeil(to);
    if (newEnd > oldEnd) {
      if (newEnd > MMAP_TOP_VA || this.areas.overlaps(oldEnd, newEnd)) {
        return this.#brk;
      }
      const prot = PROT.read | PROT.write;
      if (this.map(oldEnd, newEnd - oldEnd, prot, "heap") < 0) return this.#brk;
    } else if (newEnd < oldEnd) {
      this.unmap(newEnd, oldEnd - newEnd);
    }
    return this.#brk = to;
  }

  /**
   * Whether memory is there for so many bytes more that the program may write,
   * where what is in some ranges goes away.
   */
  hasRoom(
    lengthBytes: number,
    ...except: (readonly [start: number, end: number])[]
  ): boolean {
    let total = this.areas.committedBytes + lengthBytes;
    for (const [start, end] of except) {
      for (const area of this.areas.within(start, end)) {
        if (!commits(area)) continue;
        total -= Math.min(area.end, end) - Math.max(area.start, start);
      }
    }
    return total <= this.#memoryBytes;
  }

  /**
   * Maps zeroed memory at `va`, in place of what is there.
   *
   * @param lazy populate when touched, and do not count against memory
   * @param source which file the pages are of
   * @returns `va`, or a negative errno
   */
  map(
    va: number,
    lengthBytes: number,
    prot: number,
    kind: AreaKind,
    lazy = false,
    source?: AreaSource,
  ): number {
    if (va < LOWEST_VA || va + lengthBytes > USER_END_VA) return -ERRNO.ENOMEM;
    if (this.areas.all.length >= MAX_AREAS) return -ERRNO.ENOMEM;
    const end = va + lengthBytes;
    const area: Area = { start: va, end, prot, kind };
    if (lazy) area.lazy = true;
    if (source) area.source = source;
    if (commits(area) && !this.hasRoom(lengthBytes, [va, end])) {
      return -ERRNO.ENOMEM;
    }
    this.unmap(va, lengthBytes);
    this.areas.insert(area);
    const plentiful = lengthBytes <= this.blocks.freeBytes / 4;
    const eager = kind === "stack" ? STACK_EAGER_BYTES : lengthBytes;
    if (!lazy && prot !== PROT.none && plentiful) {
      this.#behind.populate(Math.max(va, end - eager), end, prot);
    }
    return va;
  }

  /**
   * Maps addresses of a device at `va`, in place of what is there.
   *
   * @param gpa the device's physical address, whole pages
   * @returns `va`, or a negative errno
   */
  mapDevice(
    va: number,
    lengthBytes: number,
    prot: number,
    gpa: number,
  ): number {
    const end = va + lengthBytes;
    if (va < LOWEST_VA || end > USER_END_VA) return -ERRNO.ENOMEM;
    if (this.areas.all.length >= MAX_AREAS) return -ERRNO.ENOMEM;
    this.unmap(va, lengthBytes);
    this.areas.insert({ start: va, end, prot, kind: "device", gpa });
    return va;
  }

  /**
   * Maps a part of an open file at `va`, in place of what is there: its pages
   * themselves.
   *
   * @returns `va`, or a negative errno
   */
  mapShared(
    va: number,
    lengthBytes: number,
    prot: number,
    { file, offset }: { file: OpenFile; offset: number },
  ): number {
    const end = va + lengthBytes;
    if (va < LOWEST_VA || end > USER_END_VA) return -ERRNO.ENOMEM;
    if (this.areas.all.length >= MAX_AREAS) return -ERRNO.ENOMEM;
    const writes = (prot & PROT.write) !== 0;
    const gpa = this.files.add(file, offset, lengthBytes, writes);
    if (gpa < 0) return gpa;
    // This gives up files that no area leads to: not yet this one.
    this.unmap(va, lengthBytes, false);
    this.areas.insert({ start: va, end, prot, kind: "shared", gpa });
    this.files.keepOnly(this.areas.all);
    return va;
  }

  /**
   * The highest place that is free for `lengthBytes`; -1 when there is none.
   *
   * @param within the addresses to look at; all that mappings are placed at
   */
  findFree(lengthBytes: number, within = ANYWHERE): number {
    const align = lengthBytes >= BLOCK_BYTES ? BLOCK_BYTES : PAGE_BYTES;
    return this.areas.findGap(lengthBytes, align, within.start, within.end);
  }

  /**
   * Answers a page fault, the CPU's or the VMM's own: populates what the area
   * at `va` allows.
   *
   * @param access a sum of PROT_*: what was tried
   * @returns whether the access is allowed, so that it may be tried again
   * @throws {OutOfMemoryError} when no memory is left
   */
  fault(va: number, access: number): boolean {
    const area = this.areas.find(va);
    if (!area || !allows(area, access) || area.kind === "beyond") return false;
    const block = Math.floor(va / BLOCK_BYTES) * BLOCK_BYTES;
    const start = Math.max(area.start, block);
    const end = Math.min(area.end, block + BLOCK_BYTES);
    if (area.gpa !== undefined) {
      return this.outer.populate(area, va, start, end);
    }
    this.#behind.populateTouched(start, end, area.prot);
    return true;
  }

  /** Whether only the end of a mapped file is in the way of an access. */
  isBeyondFile(va: number, access: number): boolean {
    const area = this.areas.find(va);
    if (!area || !allows(area, access)) return false;
    if (area.kind === "beyond") return true;
    return area.kind === "shared" &&
      va - area.start + area.gpa! >= this.files.endGpa(area.gpa!);
  }

  /**
   * Removes everything in `[va, va + lengthBytes)`.
   *
   * @param givesUp whether files that are shared no more are given up
   * @returns 0, or -ENOMEM when that would make too many areas
   */
  unmap(va: number, lengthBytes: number, givesUp = true): number {
    const end = va + lengthBytes;
    const areas = this.areas.within(va, end);
    if (areas.length === 0) return 0;
    const splits = areas[0].start < va && areas[0].end > end;
    if (splits && this.areas.all.length >= MAX_AREAS) return -ERRNO.ENOMEM;
    const spans = areas.map((a): [number, number] => [
      Math.max(a.start, va),
      Math.min(a.end, end),
    ]);
    const leading = areas.filter(({ gpa }) => gpa !== undefined)
      .map((area) => ({ ...area }));
    this.areas.remove(va, end);
    for (const area of leading) this.outer.forget(area, va, end);
    if (givesUp && leading.length > 0) this.files.keepOnly(this.areas.all);
    for (const [from, to] of spans) {
      this.#behind.release(from, to, (a, b) => this.areas.overlaps(a, b));
    }
    return 0;
  }

  /**
   * Changes the protection of whole pages, as mprotect(2): up to the first page
   * that is not there, and says so.
   */
  protect(va: number, lengthBytes: number, prot: number): number {
    const wanted = va + lengthBytes;
    const end = this.areas.coveredTo(va, wanted);
    if (this.areas.all.length >= MAX_AREAS) return -ERRNO.ENOMEM;
    for (const area of this.areas.within(va, end)) {
      if (area.prot === prot) continue;
      const from = Math.max(area.start, va);
      const to = Math.min(area.end, end);
      // What was allowed and is no more must leave the CPU's caches; what is
      // newly allowed is found when a stale entry faults.
      const revokes = (area.prot & ~prot) !== 0;
      // Its pages are found anew, with what is allowed then.
      if (area.gpa !== undefined) this.outer.forget(area, from, to);
      else this.#behind.protect(from, to, prot, revokes);
    }
    if (end > va) this.areas.protect(va, end, prot);
    return end < wanted ? -ERRNO.ENOMEM : 0;
  }

  /** Whether as many areas may be added as moving `parts` of some may add. */
  mayMove(parts = 1): boolean {
    return this.areas.all.length + MOVE_AREAS * parts < MAX_AREAS;
  }

  /**
   * Moves pages of one area to `to`, where they become `newBytes`. Whole blocks
   * keep their memory and get another address; the rest is copied.
   *
   * @returns `to`, or a negative errno
   */
  move(va: number, oldBytes: number, to: number, newBytes: number): number {
    const from = this.areas.find(va)!;
    const { prot, kind, lazy } = from;
    const target: Area = { start: to, end: to + newBytes, prot, kind };
    const source = movedBy(from.source, va - from.start);
    if (source) target.source = source;
    if (lazy) target.lazy = true;
    if (to < LOWEST_VA || target.end > USER_END_VA) return -ERRNO.ENOMEM;
    // What was there, and what it comes from, may each be cut in two.
    if (!this.mayMove()) return -ERRNO.ENOMEM;
    const both = [[to, target.end], [va, va + oldBytes]] as const;
    if (commits(target) && !this.hasRoom(newBytes, ...both)) {
      return -ERRNO.ENOMEM;
    }
    this.unmap(to, newBytes);
    this.areas.insert(target);
    const end = va + Math.min(oldBytes, newBytes);
    const isAligned = (to - va) % BLOCK_BYTES === 0;
    for (const block of this.#behind.blocksIn(va, end)) {
      const first = Math.max(va, block * BLOCK_BYTES);
      const last = Math.min(end, (block + 1) * BLOCK_BYTES);
      const into = to + (first - va);
      if (isAligned && last - first === BLOCK_BYTES) {
        this.#behind.moveBlock(first, into, prot);
      } else this.#copyPages(first, last, into);
    }
    this.unmap(va, oldBytes);
    return to;
  }

  #copyPages(start: number, end: number, to: number): void {
    for (let va = start; va < end; va += PAGE_BYTES) {
      if (!this.tables.isPopulated(va)) continue;
      this.locate(to + (va - start)); // puts memory behind it
      this.#behind.copyPage(va, to + (va - start));
    }
  }

  /**
   * The gpa of the program's byte at `va`, whatever its protection says, with
   * memory put behind it if there was none: for the VMM's own writes (loading,
   * moving). -1 when no area holds it.
   */
  locate(va: number): number {
    const area = this.areas.find(va);
    if (!area || area.gpa !== undefined) return -1;
    const block = Math.floor(va / BLOCK_BYTES);
    const blockVa = block * BLOCK_BYTES;
    if (!this.tables.isPopulated(va)) {
      this.#behind.populate(
        Math.max(area.start, blockVa),
        Math.min(area.end, blockVa + BLOCK_BYTES),
        area.prot,
      );
    }
    return this.#behind.locate(va);
  }

  /** Makes anonymous pages read as zero again, as MADV_DONTNEED does. */
  zero(va: number, lengthBytes: number): void {
    this.#behind.zero(va, lengthBytes);
  }

  /** Whether each page from `va` on has memory of its own: 1 or 0 each. */
  resident(va: number, pages: Uint8Array): void {
    this.#behind.resident(va, pages);
  }
}
