/**
 * Four-level page tables in guest memory, written by the VMM alone.
 *
 * The tables are the only record of what is mapped where: the VMM translates a
 * guest's pointers with them, as the CPU does. A virtual address is a number
 * below 2^47, its *block* number is that divided by 2 MiB.
 *
 * Entry bits: Intel SDM volume 3, 4.5.4, table 4-15 and following.
 *
 * @module
 */

import { VmError } from "./errors.ts";
import {
  BLOCK_BYTES,
  KERNEL_BLOCK,
  PAGE_BYTES,
  USER_END_VA,
} from "./layout.ts";
import type { Memory } from "./memory.ts";

/** Bits of a page-table entry's low half. */
export const PTE = {
  /** The entry translates. */
  present: 0x1,
  /** Writes are allowed. */
  write: 0x2,
  /** CPL3 may use it. */
  user: 0x4,
  /** It was used. */
  accessed: 0x20,
  /** It was written. */
  dirty: 0x40,
  /** In a page directory: a 2 MiB page, not a table. */
  large: 0x80,
  /**
   * Ignored by the CPU: the page belongs to the program, although it may be
   * inaccessible at present.
   */
  populated: 0x200,
  /** Ignored by the CPU: what is behind is a device, and no memory. */
  device: 0x400,
} as const;

/** Bit of a page-table entry's high half: instruction fetch is refused. */
export const PTE_HIGH_NO_EXECUTE = 0x8000_0000;

/** What a program may do with a page: a sum of these (mman.h's PROT_*). */
export const PROT = { none: 0, read: 1, write: 2, exec: 4 } as const;

/**
 * The low half of an entry for a program's page with protection `prot`. Nobody
 * asks here whether a page was used or written: that it was is said at once. A
 * KVM that shadows these tables lets a page be only read until it has noted
 * that it is written, which takes another fault.
 */
function lowBits(prot: number): number {
  if (prot === PROT.none) return PTE.populated | PTE.user;
  return PTE.populated | PTE.user | PTE.present | PTE.accessed |
    (prot & PROT.write ? PTE.write | PTE.dirty : 0);
}

/** The high half of an entry for a program's page with protection `prot`. */
function highBits(prot: number): number {
  return prot & PROT.exec ? 0 : PTE_HIGH_NO_EXECUTE;
}

/** The page tables of one address space. */
export class PageTables {
  readonly #memory: Memory;
  readonly #allocateTable: () => number;

  /**
   * @param memory where the tables are
   * @param allocateTable gives the gpa of a zeroed page for one more table
   */
  constructor(memory: Memory, allocateTable: () => number) {
    this.#memory = memory;
    this.#allocateTable = allocateTable;
  }

  /** The table that the entry at `index` points to, making one if asked. */
  #descend(index: number, make: boolean): number {
    const u32 = this.#memory.u32;
    if (u32[index] & PTE.present) return this.#address(index);
    if (!make) return -1;
    const table = this.#allocateTable();
    this.#write(
      index,
      table,
      PTE.present | PTE.write | PTE.user,
      0,
    );
    return table;
  }

  /** The gpa that the entry at `index` holds; checked against memory's end. */
  #address(index: number): number {
    const u32 = this.#memory.u32;
    const gpa = (u32[index + 1] & 0xfffff) * 0x1_0000_0000 +
      ((u32[index] & 0xffff_f000) >>> 0);
    if (gpa + PAGE_BYTES > this.#memory.sizeBytes) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot walk the page tables: an entry points to 0x${
          gpa.toString(16)
        }, beyond the end of memory`,
      );
    }
    return gpa;
  }

  /**
   * The gpa of the large page that the entry at `index` maps. The address of a
   * large page is a multiple of its size; whatever else an entry holds (those
   * of an image may hold anything), the whole page is memory.
   */
  #blockAddress(index: number): number {
    const gpa = this.#address(index);
    return gpa - gpa % BLOCK_BYTES;
  }

  #write(index: number, gpa: number, low: number, high: number): void {
    const memory = this.#memory;
    memory.u32[index] = (gpa % 0x1_0000_0000) + low;
    memory.u32[index + 1] = Math.floor(gpa / 0x1_0000_0000) + high;
    memory.markDirty(index * 4, 8);
  }

  /**
   * Index, in 32-bit words from the start of memory, of the page directory's
   * entry for block number `block`; -1 when there is no directory.
   */
  #directoryEntry(block: number, make: boolean): number {
    const pdpt = this.#descend(
      (KERNEL_BLOCK.pml4 >>> 2) + ((block >>> 18) << 1),
      make,
    );
    if (pdpt < 0) return -1;
    const directory = this.#descend(
      pdpt / 4 + (((block >>> 9) & 511) << 1),
      make,
    );
    return directory < 0 ? -1 : directory / 4 + ((block & 511) << 1);
  }

  /** Index of the page's own entry, splitting a large page when asked. */
  #pageEntry(va: number, make: boolean): number {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, make);
    if (entry < 0) return -1;
    const u32 = this.#memory.u32;
    if (u32[entry] & PTE.large) {
      if (!make) return -1;
      this.#split(entry);
    }
    const table = this.#descend(entry, make);
    return table < 0 ? -1 : table / 4 + (((va % BLOCK_BYTES) >>> 12) << 1);
  }

  /** Puts a table of 512 equal small pages in place of a large one. */
  #split(entry: number): void {
    const u32 = this.#memory.u32;
    const block = this.#blockAddress(entry);
    const low = (u32[entry] & 0xfff & ~PTE.large) | 0;
    const high = u32[entry + 1] & PTE_HIGH_NO_EXECUTE ? PTE_HIGH_NO_EXECUTE : 0;
    const table = this.#allocateTable();
    for (let page = 0; page < 512; page++) {
      this.#write(table / 4 + page * 2, block + page * PAGE_BYTES, low, high);
    }
    this.#write(
      entry,
      table,
      PTE.present | PTE.write | PTE.user,
      0,
    );
  }

  /** Maps the whole block at `va` to the block of memory at `gpa`. */
  mapBlock(va: number, gpa: number, prot: number): void {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, true);
    this.#write(entry, gpa, lowBits(prot) | PTE.large, highBits(prot));
  }

  /** Whether nothing is mapped in the block at `va`, and no table is there. */
  isBlockFresh(va: number): boolean {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    return entry < 0 || this.#memory.u32[entry] === 0;
  }

  /** Whether the block at `va` is one large page. */
  isLarge(va: number): boolean {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    return entry >= 0 && (this.#memory.u32[entry] & PTE.large) !== 0;
  }

  /** Maps the page at `va` to the page of memory at `gpa`. */
  mapPage(va: number, gpa: number, prot: number): void {
    this.#write(this.#pageEntry(va, true), gpa, lowBits(prot), highBits(prot));
  }

  /** Maps the page at `va` to a device's physical address. */
  mapDevicePage(va: number, gpa: number, prot: number): void {
    const low = (lowBits(prot) & ~PTE.populated) | PTE.device;
    this.#write(this.#pageEntry(va, true), gpa, low, highBits(prot));
  }

  /**
   * Forgets the page at `va` if it is a device's; the caller drops the stale
   * translation.
   */
  unmapDevicePage(va: number): void {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    const u32 = this.#memory.u32;
    if (entry < 0 || (u32[entry] & PTE.large) || !(u32[entry] & PTE.present)) {
      return;
    }
    const page = this.#address(entry) / 4 + (((va % BLOCK_BYTES) >>> 12) << 1);
    if (!(u32[page] & PTE.device)) return;
    u32[page] = u32[page + 1] = 0;
    this.#memory.markDirty(page * 4, 8);
  }

  /** Whether the page at `va` has memory of its own, accessible or not. */
  isPopulated(va: number): boolean {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    if (entry < 0) return false;
    const u32 = this.#memory.u32;
    if (u32[entry] & PTE.large) return true;
    if (!(u32[entry] & PTE.present)) return false;
    const page = this.#address(entry) / 4 + (((va % BLOCK_BYTES) >>> 12) << 1);
    return (u32[page] & PTE.populated) !== 0;
  }

  /**
   * Changes what may be done with the page at `va`, if it is populated. The
   * caller drops the stale translation (see `Memory.dropTranslations`).
   *
   * @returns whether the page is populated
   */
  protectPage(va: number, prot: number): boolean {
    const index = this.#pageEntry(va, true);
    if (!(this.#memory.u32[index] & PTE.populated)) return false;
    this.#write(index, this.#address(index), lowBits(prot), highBits(prot));
    return true;
  }

  /** Changes what may be done with the large page at `va`. */
  protectBlock(va: number, prot: number): void {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    this.mapBlock(va, this.#blockAddress(entry), prot);
  }

  /**
   * Forgets the page at `va`; the caller drops the stale translation.
   *
   * @returns whether the page was populated
   */
  unmapPage(va: number): boolean {
    if (!this.isPopulated(va)) return false;
    const index = this.#pageEntry(va, true);
    this.#memory.u32[index] = 0;
    this.#memory.u32[index + 1] = 0;
    this.#memory.markDirty(index * 4, 8);
    return true;
  }

  /** Forgets everything mapped in the block at `va`; keeps its table. */
  unmapBlock(va: number): void {
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    if (entry < 0) return;
    const u32 = this.#memory.u32;
    if (u32[entry] & PTE.large) {
      u32[entry] = u32[entry + 1] = 0;
      this.#memory.markDirty(entry * 4, 8);
    } else if (u32[entry] & PTE.present) {
      const table = this.#address(entry);
      const end = table / 4 + PAGE_BYTES / 4;
      for (let page = table / 4; page < end; page += 2) {
        // The last block also holds the `syscall` stub, which is not a
        // program's to unmap.
        if (u32[page] & PTE.populated) u32[page] = u32[page + 1] = 0;
      }
      this.#memory.markDirty(table, PAGE_BYTES);
    }
  }

  /**
   * The gpa of the byte at `va`, or -1 when the program may not read it (or
   * write it, with `write`), or it is a device's.
   */
  translate(va: number, write: boolean): number {
    // `!(>=)` also refuses NaN.
    if (!(va >= 0 && va < USER_END_VA)) return -1;
    const u32 = this.#memory.u32;
    const need = PTE.present | PTE.user | (write ? PTE.write : 0);
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    if (entry < 0) return -1;
    if (u32[entry] & PTE.large) {
      if ((u32[entry] & need) !== need) return -1;
      return this.#blockAddress(entry) + va % BLOCK_BYTES;
    }
    if (!(u32[entry] & PTE.present)) return -1;
    const page = this.#address(entry) / 4 + (((va % BLOCK_BYTES) >>> 12) << 1);
    if ((u32[page] & need) !== need || u32[page] & PTE.device) return -1;
    return this.#address(page) + va % PAGE_BYTES;
  }

  /**
   * How many bytes from `va` on lie one after the other in memory and may be
   * read (or written, with `write`): at least to the end of its page, at most
   * to the end of its block and `mostBytes`. Only where {@linkcode translate}
   * finds `va`.
   */
  extent(va: number, write: boolean, mostBytes: number): number {
    const u32 = this.#memory.u32;
    const inBlock = va % BLOCK_BYTES;
    const most = Math.min(mostBytes, BLOCK_BYTES - inBlock);
    const entry = this.#directoryEntry((va / BLOCK_BYTES) | 0, false);
    if (u32[entry] & PTE.large) return most;
    const need = PTE.present | PTE.user | (write ? PTE.write : 0);
    let page = this.#address(entry) / 4 + ((inBlock >>> 12) << 1);
    let low = u32[page] & 0xffff_f000;
    const high = u32[page + 1] & 0xfffff;
    const start = high * 0x1_0000_0000 + (low >>> 0) + va % PAGE_BYTES;
    let bytes = PAGE_BYTES - va % PAGE_BYTES;
    for (; bytes < most; bytes += PAGE_BYTES) {
      page += 2;
      low = (low + PAGE_BYTES) | 0;
      const next = u32[page];
      if (
        (next & need) !== need || (next & 0xffff_f000) !== low ||
        (u32[page + 1] & 0xfffff) !== high
      ) break;
    }
    return Math.min(bytes, most, this.#memory.sizeBytes - start);
  }
}
