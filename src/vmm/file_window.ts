/**
 * Files of the host that a program maps to share them: their pages, and not a
 * copy, are behind guest physical addresses of their own.
 *
 * They are no part of guest memory: another process can make a file shorter at
 * any moment, and whoever touches a page that is gone gets SIGBUS. So the VMM
 * never touches them, but has the kernel copy, which answers with an error.
 *
 * @module
 */

import { errno, type KvmVm, libc, unwrap } from "../kvm/mod.ts";
import { FILES_END_GPA, FILES_GPA } from "./layout.ts";

/** From asm-generic/mman-common.h and fcntl.h. */
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MADV_DONTNEED = 4;
const O_RDWR_CLOEXEC = 0o2000002;

/** Slot 0 is memory, slot 1 {@linkcode Memory.dropDeviceTranslations}'s. */
const FIRST_SLOT = 2;

/** Most mappings: there are KVMs with 32 slots more than these. */
export const MAX_FILE_MAPPINGS = 400;

/** ENOMEM and EAGAIN, from asm-generic/errno-base.h. */
const ENOMEM = 12;

/** A part of a file that is mapped. */
export interface FilePages {
  /** Where in the file, whole pages. */
  readonly offset: number;
  /** How much, whole pages. */
  readonly lengthBytes: number;
  /** Whether writes are to be possible: the file was opened for them. */
  readonly isWritable: boolean;
}

interface Mapping {
  readonly gpa: number;
  readonly lengthBytes: number;
  readonly host: number;
  readonly slot: number;
}

/** The files that are behind guest physical addresses. */
export class FileWindow implements Disposable {
  #vm: KvmVm | undefined;
  #mem = -1;
  /** In order of address. */
  readonly #mappings: Mapping[] = [];

  /** Gives what is mapped from now on to a VM. */
  attach(vm: KvmVm): void {
    this.#vm = vm;
  }

  /** A free place for so many bytes; -1 when there is none. */
  #findFree(lengthBytes: number): number {
    let gpa = FILES_GPA;
    for (const mapping of this.#mappings) {
      if (mapping.gpa - gpa >= lengthBytes) break;
      gpa = mapping.gpa + mapping.lengthBytes;
    }
    return gpa + lengthBytes <= FILES_END_GPA ? gpa : -1;
  }

  /**
   * Maps a part of a file.
   *
   * @param fd the file; it may be closed afterwards
   * @param at where, if it must be there; the place is free
   * @returns its guest physical address, or a negative errno
   */
  map(fd: number, pages: FilePages, at?: number): number {
    const { lengthBytes, offset, isWritable } = pages;
    const gpa = at ?? this.#findFree(lengthBytes);
    if (gpa < 0 || this.#mappings.length >= MAX_FILE_MAPPINGS || !this.#vm) {
      return -ENOMEM;
    }
    const prot = PROT_READ | (isWritable ? PROT_WRITE : 0);
    // SAFETY: the kernel chooses a place that is free.
    const host = Number(
      libc.mmap(0, lengthBytes, prot, MAP_SHARED, fd, offset),
    );
    if (host === -1) return -errno();
    let slot = FIRST_SLOT;
    while (this.#mappings.some((mapping) => mapping.slot === slot)) slot++;
    const region = { slot, gpa, hostAddress: BigInt(host) };
    try {
      this.#vm.setUserMemoryRegion({ ...region, sizeBytes: lengthBytes });
    } catch {
      libc.munmap(host, lengthBytes);
      return -ENOMEM;
    }
    this.#mappings.push({ gpa, lengthBytes, host, slot });
    this.#mappings.sort((a, b) => a.gpa - b.gpa);
    return gpa;
  }

  /** Takes a mapping away. Only while no vCPU runs. */
  unmap(gpa: number): void {
    const index = this.#mappings.findIndex((mapping) => mapping.gpa === gpa);
    if (index < 0) return;
    const [{ slot, host, lengthBytes }] = this.#mappings.splice(index, 1);
    this.#vm?.setUserMemoryRegion({
      slot,
      gpa,
      sizeBytes: 0,
      hostAddress: BigInt(host),
    });
    // SAFETY: the mapping is this object's own, and nothing reads it directly.
    libc.munmap(host, lengthBytes);
  }

  /** The host address behind a gpa, for the kernel alone; 0 if there is none. */
  hostAddress(gpa: number): number {
    for (const mapping of this.#mappings) {
      const at = gpa - mapping.gpa;
      if (at >= 0 && at < mapping.lengthBytes) return mapping.host + at;
    }
    return 0;
  }

  /**
   * Makes every vCPU walk the page tables anew for these pages; what is in the
   * file stays. Only while no vCPU runs.
   */
  dropTranslations(gpa: number, lengthBytes: number): void {
    const host = this.hostAddress(gpa);
    if (host === 0) return;
    // SAFETY: the range is of one mapping of files; their content stays.
    unwrap("madvise", libc.madvise(host, lengthBytes, MADV_DONTNEED));
  }

  /** msync(2) of pages of one mapping: 0 or a negative errno. */
  sync(gpa: number, lengthBytes: number, flags: number): number {
    const host = this.hostAddress(gpa);
    if (host === 0) return 0;
    return libc.msync(host, lengthBytes, flags) === 0 ? 0 : -errno();
  }

  #memory(): number {
    if (this.#mem < 0) {
      const path = new TextEncoder().encode("/proc/self/mem\0");
      this.#mem = unwrap("open", libc.open(path, O_RDWR_CLOEXEC));
    }
    return this.#mem;
  }

  /** Copies from a host address; false where the file has ended. */
  read(host: number, bytes: Uint8Array<ArrayBuffer>): boolean {
    const length = BigInt(bytes.length);
    const got = libc.preadInto(this.#memory(), bytes, length, BigInt(host));
    return Number(got) === bytes.length;
  }

  /** Copies to a host address; false where the file has ended. */
  write(host: number, bytes: Uint8Array<ArrayBuffer>): boolean {
    const length = BigInt(bytes.length);
    const got = libc.pwriteFrom(this.#memory(), bytes, length, BigInt(host));
    return Number(got) === bytes.length;
  }

  /** Unmaps everything; the VM must be gone before. */
  [Symbol.dispose](): void {
    this.#vm = undefined;
    for (const { gpa } of [...this.#mappings]) this.unmap(gpa);
    if (this.#mem >= 0) libc.close(this.#mem);
    this.#mem = -1;
  }
}
