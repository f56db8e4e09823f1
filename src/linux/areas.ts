/**
 * The list of a program's memory areas: what Linux shows in /proc/PID/maps.
 *
 * @module
 */

import { PROT } from "../vmm/mod.ts";
import { type AreaSource, isSameFile, movedBy } from "./area_source.ts";

/** Most areas that a program may have (Linux: vm.max_map_count). */
export const MAX_AREAS = 65530;

/** Most areas that moving one adds: as Linux, what it asks to be free. */
export const MOVE_AREAS = 3;

/** What an area is for. */
export type AreaKind =
  | "program"
  | "heap"
  | "stack"
  | "anonymous"
  | "file"
  /** Pages of a mapped file that lie beyond its end. */
  | "beyond"
  /** Addresses that a device answers. */
  | "device"
  /** The code that tells the time without leaving the VM. */
  | "vdso"
  /** The page of data that it reads. */
  | "vvar"
  /** Pages of a file that the program shares. */
  | "shared";

/** One area: whole pages with one protection. */
export interface Area {
  /** First address. */
  start: number;
  /** First address after it. */
  end: number;
  /** A sum of PROT_READ (1), PROT_WRITE (2), PROT_EXEC (4). */
  prot: number;
  /** What it is for. */
  readonly kind: AreaKind;
  /** Whether no memory is set aside for it (MAP_NORESERVE). */
  lazy?: true;
  /**
   * Of a device, or a shared file: the physical address that the first address
   * leads to.
   */
  gpa?: number;
  /** Of pages that were read from a file: where they are in it. */
  source?: AreaSource;
}

/** Whether one area's pages follow another's in a file, or neither has one. */
export function followsIn(before: Area, area: Area): boolean {
  if (!before.source || !area.source) return before.source === area.source;
  const end = before.source.offset + (before.end - before.start);
  return area.source.offset === end &&
    isSameFile(before.source.file, area.source.file);
}

/** Areas in order of address; no two overlap. */
export class AreaList {
  #areas: Area[] = [];
  #committedBytes = 0;

  /** Bytes that memory must be there for: kept, as there may be many areas. */
  get committedBytes(): number {
    return this.#committedBytes;
  }

  #count(areas: readonly Area[], sign: 1 | -1): void {
    for (const area of areas) {
      if (commits(area)) this.#committedBytes += sign * (area.end - area.start);
    }
  }

  /** The areas in order. */
  get all(): readonly Area[] {
    return this.#areas;
  }

  /** Index of the first area that ends above `va`. */
  #at(va: number): number {
    let low = 0;
    let high = this.#areas.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#areas[middle].end <= va) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The area that holds `va`. */
  find(va: number): Area | undefined {
    const area = this.#areas[this.#at(va)];
    return area && area.start <= va ? area : undefined;
  }

  /** The areas that overlap `[start, end)`, in order. */
  within(start: number, end: number): Area[] {
    const first = this.#at(start);
    let last = first;
    while (last < this.#areas.length && this.#areas[last].start < end) last++;
    return this.#areas.slice(first, last);
  }

  /** Whether any area overlaps `[start, end)`. */
  overlaps(start: number, end: number): boolean {
    const area = this.#areas[this.#at(start)];
    return area !== undefined && area.start < end;
  }

  /** Whether areas cover `[start, end)` without a gap. */
  covers(start: number, end: number): boolean {
    return this.coveredTo(start, end) >= end;
  }

  /** Up to where, at most `end`, areas cover `[start, end)` without a gap. */
  coveredTo(start: number, end: number): number {
    let at = start;
    for (const area of this.within(start, end)) {
      if (area.start > at) break;
      at = area.end;
    }
    return Math.min(at, end);
  }

  /** Adds an area to a range that is free, joining equal neighbours. */
  insert(area: Area): void {
    const index = this.#at(area.start);
    this.#areas.splice(index, 0, { ...area });
    this.#count([area], 1);
    this.#join(index + 1);
    this.#join(index);
  }

  /** Joins the area at `index` to the one before it when they are alike. */
  #join(index: number): void {
    const before = this.#areas[index - 1];
    const area = this.#areas[index];
    if (
      before && area && before.end === area.start &&
      before.prot === area.prot && before.kind === area.kind &&
      before.lazy === area.lazy && before.gpa === undefined &&
      followsIn(before, area)
    ) {
      before.end = area.end;
      this.#areas.splice(index, 1);
    }
  }

  /** Makes `va` a boundary between areas. */
  #split(va: number): void {
    const index = this.#at(va);
    const area = this.#areas[index];
    if (!area || area.start >= va) return;
    const behind: Area = { ...area, start: va };
    if (area.gpa !== undefined) behind.gpa = area.gpa + (va - area.start);
    if (area.source) behind.source = movedBy(area.source, va - area.start);
    this.#areas.splice(index + 1, 0, behind);
    area.end = va;
  }

  /** Removes everything in `[start, end)`. */
  remove(start: number, end: number): void {
    this.#split(start);
    this.#split(end);
    const first = this.#at(start);
    const removed = this.#areas.splice(first, this.within(start, end).length);
    this.#count(removed, -1);
  }

  /** Gives everything in `[start, end)` the protection `prot`. */
  protect(start: number, end: number, prot: number): void {
    this.#split(start);
    this.#split(end);
    const first = this.#at(start);
    const changed = this.within(start, end);
    this.#count(changed, -1);
    for (const area of changed) area.prot = prot;
    this.#count(changed, 1);
    for (let i = first + changed.length; i >= first; i--) this.#join(i);
  }

  /**
   * The highest start, a multiple of `align`, of `lengthBytes` free bytes
   * between `lowest` and `end`; -1 when there is none.
   */
  findGap(
    lengthBytes: number,
    align: number,
    lowest: number,
    end: number,
  ): number {
    let top = end;
    for (let i = this.#areas.length - 1; i >= -1; i--) {
      const area = this.#areas[i];
      if (area && area.start >= end) continue;
      const bottom = Math.max(area ? area.end : 0, lowest);
      const start = Math.floor((top - lengthBytes) / align) * align;
      if (start >= bottom) return start;
      if (!area || area.start <= lowest) return -1;
      top = Math.min(top, area.start);
    }
    return -1;
  }

  /** Total bytes of the areas that `count` says to count. */
  totalBytes(count: (area: Area) => boolean): number {
    let total = 0;
    for (const area of this.#areas) {
      if (count(area)) total += area.end - area.start;
    }
    return total;
  }
}

/** Whether memory must be there for all of an area. */
export function commits({ prot, kind, lazy }: Area): boolean {
  return (prot & PROT.write) !== 0 && kind !== "stack" && kind !== "device" &&
    kind !== "shared" && !lazy;
}

/** Whether an area may be used so. */
export function allows({ prot }: Area, access: number): boolean {
  // The CPU cannot refuse reads of what may be written or executed.
  return access === PROT.read ? prot !== PROT.none : (prot & access) === access;
}
