/**
 * A program's address space: its areas, and when memory is put behind them.
 *
 * What an area allows is populated when it is made, as long as memory is
 * plentiful, else when it is first touched.
 *
 * @module
 */

import * as v from "valibot";
import {
  type Component,
  count as address,
  type Dump,
  type StateSchema,
} from "../state/mod.ts";
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
  VmError,
} from "../vmm/mod.ts";
import { AreaMemory, areaMemoryFields } from "./area_memory.ts";
import { type Area, type AreaKind, AreaList, commits } from "./areas.ts";
import {
  type AreaSource,
  areaSourceField,
  movedBy,
  type SourceFile,
  sourcesField,
} from "./area_source.ts";
import { MappedFiles, mappedFilesField } from "./mapped_files.ts";
import { VDSO_END_VA, VDSO_SPAN_BYTES } from "./vdso/layout.ts";

/** Lowest address that a program may map (Linux: vm.mmap_min_addr). */
const LOWEST_VA = 0x1_0000;

/** Where mappings are placed from, downwards. */
const MMAP_TOP_VA = 0x7fff_0000_0000;

/** First address after the stack; the vDSO is above it. */
export const STACK_TOP_VA: number = VDSO_END_VA - VDSO_SPAN_BYTES;

/** How large the stack may grow (RLIMIT_STACK). */
export const STACK_BYTES = 8 * 1024 * 1024;

/** How much of the stack is populated from the start. */
const STACK_EAGER_BYTES = 256 * 1024;

/** Rounds up to whole pages. */
export function pageCeil(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** Most areas that a program may have (Linux: vm.max_map_count). */
const MAX_AREAS = 65530;

/** How an address space travels. */
export const addressSpaceState = {
  kind: "address-space",
  version: 5,
  schema: v.object({
    areas: v.pipe(
      v.array(v.object({
        start: address,
        end: address,
        prot: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(7)),
        kind: v.picklist([
          "program",
          "heap",
          "stack",
          "anonymous",
          "file",
          "beyond",
          "device",
          "vdso",
          "vvar",
          "shared",
        ]),
        lazy: v.exactOptional(v.literal(true)),
        gpa: v.exactOptional(address),
        source: v.exactOptional(areaSourceField),
      })),
      // A split may have made one or two more.
      v.maxLength(MAX_AREAS + 2),
    ),
    ...areaMemoryFields,
    files: mappedFilesField,
    /** Files that pages were read from. */
    sources: sourcesField,
    brkStart: address,
    brk: address,
  }),
  // Version 2 added areas that devices answer, version 3 those of the vDSO,
  // version 4 shared files, version 5 which files pages were read from.
  upgrades: {
    1: (old: unknown) => old,
    2: (old: unknown) => old,
    3: (old: unknown) => ({ ...old as object, files: [] }),
    4: (old: unknown) => ({ ...old as object, sources: [] }),
  },
} satisfies StateSchema<unknown>;

/** The state of an address space, version 5. */
export type AddressSpaceStateV5 = v.InferOutput<
  typeof addressSpaceState.schema
>;

/** Whether a device claims all of a range of physical addresses. */
export type IsDevice = (gpa: number, lengthBytes: number) => boolean;

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

  readonly #behind: AreaMemory;
  readonly #memory: Memory;
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
    this.#memory = memory;
    this.files = new MappedFiles(memory.files, state?.files);
    if (state) this.#load(state, isDevice);
  }

  #load(state: AddressSpaceStateV5, isDevice: IsDevice): void {
    let last = 0;
    for (const area of state.areas) {
      if (
        area.start < last || area.end <= area.start || area.end > USER_END_VA ||
        area.start % PAGE_BYTES !== 0 || area.end % PAGE_BYTES !== 0
      ) {
        throw new VmError(
          "VM_MEMORY",
          `Cannot restore the address space: area 0x${
            area.start.toString(16)
          } is out of place`,
        );
      }
      const { kind, gpa, start, end } = area;
      const leadsOn = kind === "device" || kind === "shared";
      const isThere = (gpa: number, bytes: number) => {
        if (gpa % PAGE_BYTES !== 0) return false;
        if (kind === "device") return isDevice(gpa, bytes);
        const file = this.files.find(gpa);
        return file !== undefined &&
          gpa + bytes <= file.gpa + file.lengthBytes &&
          (file.isWritable || (area.prot & PROT.write) === 0);
      };
      if (
        leadsOn !== (gpa !== undefined) ||
        (gpa !== undefined && !isThere(gpa, end - start))
      ) {
        throw new VmError(
          "VM_MEMORY",
          `Cannot restore the address space: area 0x${
            start.toString(16)
          } leads to a ${
            kind === "shared" ? "file" : "device"
          } that is not there`,
        );
      }
      last = area.end;
      const { source, ...rest } = area;
      const file = source && state.sources[source.file];
      if (source && !file) {
        throw new VmError(
          "VM_MEMORY",
          `Cannot restore the address space: area 0x${
            start.toString(16)
          } is of a file that is not there`,
        );
      }
      this.areas.insert(
        source && file
          ? { ...rest, source: { file, offset: source.offset } }
          : rest,
      );
    }
    this.#brkStart = state.brkStart;
    this.#brk = state.brk;
  }

  /** Answers with the areas and which memory is behind them. */
  dump(): Dump {
    const sources: SourceFile[] = [];
    // There may be as many files as areas.
    const indexes = new Map<string, number>();
    const indexOf = (file: SourceFile) => {
      const key = `${file.device} ${file.inode} ${file.path}`;
      const at = indexes.get(key) ?? sources.push(file) - 1;
      indexes.set(key, at);
      return at;
    };
    const state: AddressSpaceStateV5 = {
      areas: this.areas.all.map(({ source, ...area }) =>
        source
          ? {
            ...area,
            source: { file: indexOf(source.file), offset: source.offset },
          }
          : area
      ),
      sources,
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
   * Bytes that the program may write and that memory must be there for, those
   * in some ranges left out.
   */
  #committedBytes(
    ...except: (readonly [start: number, end: number])[]
  ): number {
    let total = this.areas.committedBytes;
    for (const [start, end] of except) {
      for (const area of this.areas.within(start, end)) {
        if (!commits(area)) continue;
        total -= Math.min(area.end, end) - Math.max(area.start, start);
      }
    }
    return total;
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
    const others = this.#committedBytes([va, end]);
    if (commits(area) && others + lengthBytes > this.#memoryBytes) {
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

  /** Whether a file in a range may not be written, and so not be mapped so. */
  isReadOnly(va: number, lengthBytes: number): boolean {
    return this.areas.within(va, va + lengthBytes).some((area) =>
      area.kind === "shared" && !this.files.find(area.gpa!)?.isWritable
    );
  }

  /**
   * Where a byte of a shared file is on the host, for the kernel alone, and how
   * many follow it; `undefined` where there is none, or it may not be used so.
   */
  shared(
    va: number,
    write: boolean,
  ): { host: number; lengthBytes: number } | undefined {
    const area = this.areas.find(va);
    if (area?.kind !== "shared") return undefined;
    if (!allows(area, write ? PROT.write : PROT.read)) return undefined;
    const host = this.#memory.files.hostAddress(area.gpa! + (va - area.start));
    return host === 0 ? undefined : { host, lengthBytes: area.end - va };
  }

  /** Whether any address in a range is a device's. */
  hasDevice(va: number, lengthBytes: number): boolean {
    return this.areas.within(va, va + lengthBytes)
      .some(({ kind }) => kind === "device");
  }

  /** The highest place that is free for `lengthBytes`; -1 when there is none. */
  findFree(lengthBytes: number): number {
    const align = lengthBytes >= BLOCK_BYTES ? BLOCK_BYTES : PAGE_BYTES;
    const top = VDSO_END_VA - STACK_BYTES - BLOCK_BYTES;
    return this.areas.findGap(lengthBytes, align, LOWEST_VA, top);
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
      const last = area.kind === "shared"
        ? this.files.endGpa(area.gpa) - area.gpa + area.start
        : Infinity;
      if (va >= last) return false;
      for (let at = start; at < Math.min(end, last); at += PAGE_BYTES) {
        const gpa = area.gpa + (at - area.start);
        this.tables.mapDevicePage(at, gpa, area.prot);
      }
      return true;
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
   * Forgets the pages that shared files do not have any more, so that an access
   * faults; whether there is any such page.
   */
  forgetBeyondFiles(): boolean {
    let isAny = false;
    for (const area of this.areas.all) {
      if (area.kind !== "shared") continue;
      const from = area.start + this.files.endGpa(area.gpa!) - area.gpa!;
      if (from >= area.end) continue;
      this.#forgetPages(area, Math.max(from, area.start), area.end);
      isAny = true;
    }
    return isAny;
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
    for (const area of leading) this.#forgetPages(area, va, end);
    if (givesUp && leading.length > 0) this.files.keepOnly(this.areas.all);
    for (const [from, to] of spans) {
      this.#behind.release(from, to, (a, b) => this.areas.overlaps(a, b));
    }
    return 0;
  }

  /** Forgets the pages of a device's or a file's area between two addresses. */
  #forgetPages(area: Area, start: number, end: number): void {
    const from = Math.max(area.start, start);
    const to = Math.min(area.end, end);
    for (let va = from; va < to;) {
      const block = Math.floor(va / BLOCK_BYTES) * BLOCK_BYTES;
      // A device may claim far more than was ever touched.
      if (this.tables.isBlockFresh(va)) va = block + BLOCK_BYTES;
      else {
        this.tables.unmapDevicePage(va);
        va += PAGE_BYTES;
      }
    }
    if (area.kind === "device") this.#memory.dropDeviceTranslations();
    else {
      const gpa = area.gpa! + (from - area.start);
      this.#memory.files.dropTranslations(gpa, to - from);
    }
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
      if (area.gpa !== undefined) this.#forgetPages(area, from, to);
      else this.#behind.protect(from, to, prot, revokes);
    }
    if (end > va) this.areas.protect(va, end, prot);
    return end < wanted ? -ERRNO.ENOMEM : 0;
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
    if (this.areas.all.length >= MAX_AREAS) return -ERRNO.ENOMEM;
    const others = this.#committedBytes([to, target.end], [va, va + oldBytes]);
    if (commits(target) && others + newBytes > this.#memoryBytes) {
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

/** Whether an area may be used so. */
function allows({ prot }: Area, access: number): boolean {
  // The CPU cannot refuse reads of what may be written or executed.
  return access === PROT.read ? prot !== PROT.none : (prot & access) === access;
}
