/**
 * Guest memory: one private anonymous mapping of the VMM's, seen without a copy.
 *
 * @module
 */

import { type KvmVm, libc, unwrap } from "../kvm/mod.ts";
import { VmError } from "./errors.ts";
import { useImage } from "./image_users.ts";
import { FileWindow } from "./file_window.ts";
import { BLOCK_BYTES, MMIO_END_GPA, PAGE_BYTES } from "./layout.ts";

/** mmap(2) and madvise(2) constants, from asm-generic/mman-common.h. */
const MM = {
  PROT_NONE: 0,
  PROT_READ_WRITE: 3,
  MAP_PRIVATE: 0x02,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS: 0x20,
  MAP_NORESERVE: 0x4000,
  MADV_DONTNEED: 4,
  MADV_HUGEPAGE: 14,
} as const;

/** A run of pages in an image file. */
export interface FileRun {
  /** Guest physical address of the first page. */
  readonly gpa: number;
  /** How many bytes, a multiple of the page size. */
  readonly lengthBytes: number;
  /** Where in the file they start, a multiple of the page size. */
  readonly fileOffset: number;
}

/** Most bytes that a VM's memory may have: it ends where MMIO begins. */
const MAX_BYTES = 256 * 1024 ** 3;

/** The memory of one VM: `sizeBytes` of it, from guest physical address 0. */
export class Memory {
  /** How much memory the guest has. */
  readonly sizeBytes: number;
  /** Host address of the first byte; a multiple of 2 MiB. */
  readonly hostAddress: number;
  /** All of memory, as bytes. */
  readonly u8: Uint8Array<ArrayBuffer>;
  /** All of memory, as 32-bit words. */
  readonly u32: Uint32Array<ArrayBuffer>;
  /** All of memory, for reads and writes of any width. */
  readonly view: DataView<ArrayBuffer>;
  /** Dirty pages, a bit each, when the VMM's own writes are tracked. */
  #dirty: Uint8Array<ArrayBuffer> | undefined;
  /** Blocks that hold pages of an image file, a flag each. */
  readonly #fromFile: Uint8Array;
  readonly #reservation: { address: number; lengthBytes: number };
  /** Files of the host that the program shares. */
  readonly files: FileWindow = new FileWindow();
  /** Ends the use of the image file that it is mapped from: there is one. */
  #endUse: (() => void) | undefined;
  #open = true;
  #vm: KvmVm | undefined;

  /**
   * Reserves the memory; it costs nothing until it is touched.
   *
   * @param sizeBytes a multiple of 2 MiB
   * @throws {VmError} when the size is wrong or the host refuses the mapping
   */
  constructor(sizeBytes: number) {
    if (
      !Number.isSafeInteger(sizeBytes) || sizeBytes < 2 * BLOCK_BYTES ||
      sizeBytes % BLOCK_BYTES !== 0 || sizeBytes > MAX_BYTES
    ) {
      throw new VmError(
        "VM_CONFIG",
        `Cannot give the VM ${sizeBytes} bytes of memory: must be a multiple of 2 MiB, from 4 MiB to 256 GiB`,
      );
    }
    this.sizeBytes = sizeBytes;
    // One block more than needed, to align the start.
    const lengthBytes = sizeBytes + BLOCK_BYTES;
    const address = mapAnonymous(0, lengthBytes, 0);
    this.#reservation = { address, lengthBytes };
    this.hostAddress = Math.ceil(address / BLOCK_BYTES) * BLOCK_BYTES;
    this.#wishHugePages(0, sizeBytes);
    // SAFETY: the mapping is readable and writable and stays until dispose(),
    // which detaches the buffer first: no view can reach memory that is gone.
    const buffer = Deno.UnsafePointerView.getArrayBuffer(
      Deno.UnsafePointer.create(BigInt(this.hostAddress))!,
      sizeBytes,
    );
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.view = new DataView(buffer);
    this.#fromFile = new Uint8Array(sizeBytes / BLOCK_BYTES);
  }

  /** Gives the memory to a VM, as slot 0. */
  attach(vm: KvmVm): void {
    this.#vm = vm;
    this.files.attach(vm);
    this.#setSlot(this.sizeBytes);
  }

  #setSlot(sizeBytes: number): void {
    this.#vm?.setUserMemoryRegion({
      slot: 0,
      gpa: 0,
      sizeBytes,
      hostAddress: BigInt(this.hostAddress),
    });
  }

  /**
   * @throws {VmError} unless all of `[gpa, gpa + lengthBytes)` is memory, and
   * the memory is there still
   */
  check(gpa: number, lengthBytes: number): void {
    if (!this.#open) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot use ${lengthBytes} bytes at gpa 0x${
          gpa.toString(16)
        }: the memory was given back`,
      );
    }
    if (
      !(gpa >= 0 && lengthBytes >= 0 && gpa + lengthBytes <= this.sizeBytes)
    ) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot use ${lengthBytes} bytes at gpa 0x${
          gpa.toString(16)
        }: memory ends at 0x${this.sizeBytes.toString(16)}`,
      );
    }
  }

  /** Copies `bytes` into memory at `gpa`. */
  write(gpa: number, bytes: Uint8Array): void {
    this.check(gpa, bytes.length);
    this.u8.set(bytes, gpa);
    this.markDirty(gpa, bytes.length);
  }

  /**
   * Has the host put memory behind the block at `gpa`, which is about to be
   * touched: KVM maps a block that it finds there as one large page, one that
   * it has to bring in page by page (measured: 10 times slower). The block is
   * all zero, and stays so.
   */
  prefault(gpa: number): void {
    this.u8[gpa] = 0;
  }

  /** A view of the bytes at `gpa`; it goes with the VM. */
  bytes(gpa: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
    this.check(gpa, lengthBytes);
    return this.u8.subarray(gpa, gpa + lengthBytes);
  }

  /** Starts (or starts anew) to note the pages that the VMM writes. */
  trackDirty(): void {
    this.#dirty = new Uint8Array(this.sizeBytes / PAGE_BYTES / 8);
  }

  /**
   * The pages the VMM wrote since tracking began, a bit each, in the form that
   * KVM_GET_DIRTY_LOG gives the guest's own; `undefined` when not tracking.
   */
  get dirtyBitmap(): Uint8Array<ArrayBuffer> | undefined {
    return this.#dirty;
  }

  /** Notes that the VMM wrote (KVM's dirty log sees only the guest's writes). */
  markDirty(gpa: number, lengthBytes: number): void {
    const dirty = this.#dirty;
    if (!dirty || lengthBytes <= 0) return;
    const last = Math.floor((gpa + lengthBytes - 1) / PAGE_BYTES);
    for (let page = Math.floor(gpa / PAGE_BYTES); page <= last; page++) {
      dirty[page >>> 3] |= 1 << (page & 7);
    }
  }

  #advise(gpa: number, lengthBytes: number, advice: number): void {
    // SAFETY: callers checked the range; only this mapping is touched.
    unwrap(
      "madvise",
      libc.madvise(this.hostAddress + gpa, lengthBytes, advice),
    );
  }

  /** Asks for huge pages; a kernel without them goes on, slower. */
  #wishHugePages(gpa: number, lengthBytes: number): void {
    // SAFETY: callers checked the range; the advice changes no content.
    libc.madvise(this.hostAddress + gpa, lengthBytes, MM.MADV_HUGEPAGE);
  }

  /**
   * Gives pages back to the host: they read as zero, cost nothing, and no vCPU
   * holds a translation to them any longer. Only while no vCPU runs.
   */
  discard(gpa: number, lengthBytes: number): void {
    this.check(gpa, lengthBytes);
    const end = gpa + lengthBytes;
    while (gpa < end) {
      const block = Math.floor(gpa / BLOCK_BYTES);
      const stop = Math.min(end, (block + 1) * BLOCK_BYTES);
      if (!this.#fromFile[block]) {
        this.#advise(gpa, stop - gpa, MM.MADV_DONTNEED);
      } else if (stop - gpa === BLOCK_BYTES) {
        mapAnonymous(this.hostAddress + gpa, BLOCK_BYTES, MM.MAP_FIXED);
        this.#wishHugePages(gpa, BLOCK_BYTES);
        this.#fromFile[block] = 0;
      } else {
        // MADV_DONTNEED would bring the file's bytes back.
        this.dropTranslations(gpa, stop - gpa);
        this.u8.fill(0, gpa, stop);
      }
      this.markDirty(gpa, stop - gpa);
      gpa = stop;
    }
  }

  /**
   * Makes every vCPU walk the page tables anew for these pages, whose content
   * stays: taking a page away on the host is the one way that helps on every
   * KVM. Only while no vCPU runs.
   */
  dropTranslations(gpa: number, lengthBytes: number): void {
    this.check(gpa, lengthBytes);
    // SAFETY: nothing reads the range between the two calls: JavaScript is
    // here, and no vCPU runs.
    const address = this.hostAddress + gpa;
    unwrap("mprotect", libc.mprotect(address, lengthBytes, MM.PROT_NONE));
    unwrap("mprotect", libc.mprotect(address, lengthBytes, MM.PROT_READ_WRITE));
  }

  /**
   * Makes every vCPU forget all page tables, too: KVM does when the memory goes
   * away, and comes back. It takes about 1 ms, and each page is then looked up
   * anew. Only while no vCPU runs.
   */
  dropAllTranslations(): void {
    this.#setSlot(0);
    this.#setSlot(this.sizeBytes);
  }

  /**
   * Makes every vCPU walk the page tables anew for addresses of devices. There
   * is no memory to take away on the host; but KVM forgets which of the guest's
   * pages are MMIO when its memory slots change. Only while no vCPU runs.
   */
  dropDeviceTranslations(): void {
    // For a moment the first page is there a second time, where nothing is.
    const slot = {
      slot: 1,
      gpa: MMIO_END_GPA,
      hostAddress: BigInt(this.hostAddress),
    };
    this.#vm?.setUserMemoryRegion({ ...slot, sizeBytes: PAGE_BYTES });
    this.#vm?.setUserMemoryRegion({ ...slot, sizeBytes: 0 });
  }

  /**
   * Maps a run of an image file privately in place of memory that was never
   * touched: pages come in when used, writes stay here.
   *
   * @param fd the file; it may be closed afterwards
   * @param run which pages; the file must hold all of them for as long as the
   * VM lives
   */
  mapFile(fd: number, run: FileRun): void {
    this.check(run.gpa, run.lengthBytes);
    this.#endUse ??= useImage(fd);
    // SAFETY: the range is inside this mapping, which MAP_FIXED replaces.
    const got = libc.mmap(
      this.hostAddress + run.gpa,
      run.lengthBytes,
      MM.PROT_READ_WRITE,
      MM.MAP_PRIVATE | MM.MAP_FIXED | MM.MAP_NORESERVE,
      fd,
      run.fileOffset,
    );
    unwrap("mmap", Number(got) === -1 ? -1 : 0);
    const last = Math.floor((run.gpa + run.lengthBytes - 1) / BLOCK_BYTES);
    for (let b = Math.floor(run.gpa / BLOCK_BYTES); b <= last; b++) {
      this.#fromFile[b] = 1;
    }
  }

  /** Reads a run of an image file into memory that was never touched. */
  readFile(fd: number, run: FileRun): void {
    this.check(run.gpa, run.lengthBytes);
    let done = 0;
    while (done < run.lengthBytes) {
      // SAFETY: the range is inside this mapping.
      const got = Number(libc.pread(
        fd,
        this.hostAddress + run.gpa + done,
        run.lengthBytes - done,
        run.fileOffset + done,
      ));
      // Some file systems read no more than so much at once.
      if (got <= 0) break;
      done += got;
    }
    if (done === run.lengthBytes) return;
    throw new VmError(
      "VM_MEMORY",
      `Cannot read ${run.lengthBytes} bytes of memory from the image at offset ${run.fileOffset}: got ${done}`,
    );
  }

  /** Whether `[gpa, gpa + lengthBytes)` is all zero. */
  isZero(gpa: number, lengthBytes: number): boolean {
    this.check(gpa, lengthBytes);
    if (this.u32[gpa / 4] !== 0 || this.u32[gpa / 4 + 1] !== 0) return false;
    // SAFETY: both ranges are inside the mapping. Equal to itself eight bytes
    // on, and eight zero bytes at the start: all zero. Fast calls of 64-bit
    // parameters take nothing but bigint.
    const address = BigInt(this.hostAddress + gpa);
    return libc.memcmp(address, address + 8n, BigInt(lengthBytes - 8)) === 0;
  }

  /** Unmaps the memory; the VM must be gone before. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.files[Symbol.dispose]();
    this.u8.buffer.transfer(0);
    this.#endUse?.();
    // SAFETY: no view reaches the memory now, and the whole reservation is this
    // object's own.
    libc.munmap(this.#reservation.address, this.#reservation.lengthBytes);
  }
}

/** Maps anonymous private memory; returns its host address. */
function mapAnonymous(
  address: number,
  lengthBytes: number,
  flags: number,
): number {
  // SAFETY: without MAP_FIXED the kernel chooses the place; with it the caller
  // names a range of its own.
  const got = Number(libc.mmap(
    address,
    lengthBytes,
    MM.PROT_READ_WRITE,
    MM.MAP_PRIVATE | MM.MAP_ANONYMOUS | MM.MAP_NORESERVE | flags,
    -1,
    0,
  ));
  unwrap("mmap", got === -1 ? -1 : 0);
  return got;
}
