/**
 * A program's address space as simple as can be: a page is there or not, and
 * bytes that nobody wrote are zero.
 *
 * @module
 */

import { PAGE_BYTES } from "../../src/vmm/mod.ts";

/** Pages by address, and the bytes that are not zero by address. */
export class SpaceModel {
  /** Protection of each page that is mapped. */
  readonly pages = new Map<number, number>();
  /** Bytes that were written, by page and offset. */
  readonly bytes = new Map<number, Map<number, number>>();

  *#each(va: number, lengthBytes: number): Generator<number> {
    for (let at = va; at < va + lengthBytes; at += PAGE_BYTES) yield at;
  }

  map(va: number, lengthBytes: number, prot: number): void {
    for (const page of this.#each(va, lengthBytes)) {
      this.pages.set(page, prot);
      this.bytes.delete(page);
    }
  }

  unmap(va: number, lengthBytes: number): void {
    for (const page of this.#each(va, lengthBytes)) {
      this.pages.delete(page);
      this.bytes.delete(page);
    }
  }

  covers(va: number, lengthBytes: number): boolean {
    return [...this.#each(va, lengthBytes)].every((page) =>
      this.pages.has(page)
    );
  }

  protect(va: number, lengthBytes: number, prot: number): void {
    for (const page of this.#each(va, lengthBytes)) {
      if (!this.pages.has(page)) return; // what is before a gap is changed
      this.pages.set(page, prot);
    }
  }

  zero(va: number, lengthBytes: number): void {
    for (const page of this.#each(va, lengthBytes)) this.bytes.delete(page);
  }

  move(va: number, oldBytes: number, to: number, newBytes: number): void {
    const prot = this.pages.get(va)!;
    const moved: [number, Map<number, number>][] = [];
    for (const page of this.#each(va, Math.min(oldBytes, newBytes))) {
      const own = this.bytes.get(page);
      if (own) moved.push([to + page - va, own]);
    }
    this.map(to, newBytes, prot);
    this.unmap(va, oldBytes);
    for (const [page, own] of moved) this.bytes.set(page, own);
  }

  protOf(va: number): number | undefined {
    return this.pages.get(va - va % PAGE_BYTES);
  }

  write(va: number, byte: number): void {
    const page = va - va % PAGE_BYTES;
    if (!this.bytes.has(page)) this.bytes.set(page, new Map());
    this.bytes.get(page)!.set(va - page, byte);
  }

  read(va: number): number {
    const page = va - va % PAGE_BYTES;
    return this.bytes.get(page)?.get(va - page) ?? 0;
  }
}
