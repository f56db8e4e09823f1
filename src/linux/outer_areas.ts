/**
 * Areas that lead out of guest memory: to a device, or to a file that the
 * program shares.
 *
 * @module
 */

import {
  BLOCK_BYTES,
  type Memory,
  PAGE_BYTES,
  type PageTables,
  PROT,
} from "../vmm/mod.ts";
import { allows, type Area, type AreaList } from "./areas.ts";
import type { MappedFiles } from "./mapped_files.ts";

/** What is behind the areas of kinds "device" and "shared". */
export class OuterAreas {
  readonly #memory: Memory;
  readonly #tables: PageTables;
  readonly #areas: AreaList;
  readonly #files: MappedFiles;

  /** @param areas all areas @param files those that are shared */
  constructor(
    memory: Memory,
    tables: PageTables,
    areas: AreaList,
    files: MappedFiles,
  ) {
    this.#memory = memory;
    this.#tables = tables;
    this.#areas = areas;
    this.#files = files;
  }

  /** Whether any address in a range is a device's. */
  hasDevice(va: number, lengthBytes: number): boolean {
    return this.#areas.within(va, va + lengthBytes)
      .some(({ kind }) => kind === "device");
  }

  /** Whether a file in a range may not be written, and so not be mapped so. */
  isReadOnly(va: number, lengthBytes: number): boolean {
    return this.#areas.within(va, va + lengthBytes).some((area) =>
      area.kind === "shared" && !this.#files.find(area.gpa!)?.isWritable
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
    const area = this.#areas.find(va);
    if (area?.kind !== "shared") return undefined;
    if (!allows(area, write ? PROT.write : PROT.read)) return undefined;
    const host = this.#memory.files.hostAddress(area.gpa! + (va - area.start));
    return host === 0 ? undefined : { host, lengthBytes: area.end - va };
  }

  /**
   * Answers a fault at `va`: maps the pages of an area in `[start, end)`, as far
   * as its file goes.
   *
   * @returns whether there is a page at `va`
   */
  populate(area: Area, va: number, start: number, end: number): boolean {
    const first = area.gpa!;
    const last = area.kind === "shared"
      ? this.#files.endGpa(first) - first + area.start
      : Infinity;
    if (va >= last) return false;
    for (let at = start; at < Math.min(end, last); at += PAGE_BYTES) {
      this.#tables.mapDevicePage(at, first + (at - area.start), area.prot);
    }
    return true;
  }

  /**
   * Forgets the pages that shared files do not have any more, so that an access
   * faults; whether there is any such page.
   */
  forgetBeyondFiles(): boolean {
    let isAny = false;
    for (const area of this.#areas.all) {
      if (area.kind !== "shared") continue;
      const from = area.start + this.#files.endGpa(area.gpa!) - area.gpa!;
      if (from >= area.end) continue;
      this.forget(area, Math.max(from, area.start), area.end);
      isAny = true;
    }
    return isAny;
  }

  /** Forgets the pages of a device's or a file's area between two addresses. */
  forget(area: Area, start: number, end: number): void {
    const from = Math.max(area.start, start);
    const to = Math.min(area.end, end);
    for (let va = from; va < to;) {
      const block = Math.floor(va / BLOCK_BYTES) * BLOCK_BYTES;
      // A device may claim far more than was ever touched.
      if (this.#tables.isBlockFresh(va)) va = block + BLOCK_BYTES;
      else {
        this.#tables.unmapDevicePage(va);
        va += PAGE_BYTES;
      }
    }
    if (area.kind === "device") this.#memory.dropDeviceTranslations();
    else {
      const gpa = area.gpa! + (from - area.start);
      this.#memory.files.dropTranslations(gpa, to - from);
    }
  }
}
