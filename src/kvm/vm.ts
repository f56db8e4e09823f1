/**
 * A virtual machine.
 *
 * @module
 */

import { KVM, KVM_CAP } from "./constants.ts";
import { KvmError, unwrap, unwrapUninterrupted } from "./errors.ts";
import { DIRTY_LOG, ENABLE_CAP, REGION, SIZE } from "./layout.ts";
import { libc } from "./libc.ts";
import { KvmVcpu } from "./vcpu.ts";

/** The unit of memory slots and dirty logs. */
const PAGE_BYTES = 4096;

/** struct kvm_userspace_memory_region. */
export interface MemoryRegion {
  /** Number of the slot. */
  readonly slot: number;
  /** KVM_MEM bits. */
  readonly flags?: number;
  /** Guest physical address of the first byte, a multiple of the page size. */
  readonly gpa: number;
  /** How long, a multiple of the page size; 0 removes the slot. */
  readonly sizeBytes: number;
  /** Where the bytes are in this process. */
  readonly hostAddress: bigint;
}

/** A virtual machine. */
export class KvmVm {
  #fd: number;
  readonly #vcpuMapBytes: number;
  /** Pages of each slot: what the kernel will fill of a dirty bitmap. */
  readonly #slotPages = new Map<number, number>();

  /**
   * For `Kvm.createVm`.
   *
   * @param fd its descriptor, which this object then owns
   * @param vcpuMapBytes what KVM_GET_VCPU_MMAP_SIZE gives
   */
  constructor(fd: number, vcpuMapBytes: number) {
    this.#fd = fd;
    this.#vcpuMapBytes = vcpuMapBytes;
  }

  /** Its descriptor; -1 once disposed. */
  get fd(): number {
    return this.#fd;
  }

  /** What KVM answers for a capability of KVM_CAP; 0 when it lacks it. */
  checkExtension(capability: number): number {
    return unwrap(
      "KVM_CHECK_EXTENSION",
      libc.ioctl(this.fd, KVM.KVM_CHECK_EXTENSION, capability),
    );
  }

  /** Where KVM may keep three pages of its own (KVM_SET_TSS_ADDR). */
  setTssAddress(gpa: number): void {
    unwrap(
      "KVM_SET_TSS_ADDR",
      libc.ioctlAddress(this.fd, KVM.KVM_SET_TSS_ADDR, gpa),
    );
  }

  /** Adds, changes or removes memory (KVM_SET_USER_MEMORY_REGION). */
  setUserMemoryRegion(region: MemoryRegion): void {
    const bytes = new Uint8Array(SIZE.kvm_userspace_memory_region);
    const view = new DataView(bytes.buffer);
    view.setUint32(REGION.slot, region.slot, true);
    view.setUint32(REGION.flags, region.flags ?? 0, true);
    view.setBigUint64(REGION.guest_phys_addr, BigInt(region.gpa), true);
    view.setBigUint64(REGION.memory_size, BigInt(region.sizeBytes), true);
    view.setBigUint64(REGION.userspace_addr, region.hostAddress, true);
    unwrapUninterrupted(
      "KVM_SET_USER_MEMORY_REGION",
      () => libc.ioctlBuffer(this.fd, KVM.KVM_SET_USER_MEMORY_REGION, bytes),
    );
    this.#slotPages.set(region.slot, region.sizeBytes / PAGE_BYTES);
  }

  /** Makes a vCPU (KVM_CREATE_VCPU). */
  createVcpu(id = 0): KvmVcpu {
    const xsaveBytes = this.checkExtension(KVM_CAP.KVM_CAP_XSAVE2);
    const fd = unwrapUninterrupted(
      "KVM_CREATE_VCPU",
      () => libc.ioctl(this.fd, KVM.KVM_CREATE_VCPU, id),
    );
    return new KvmVcpu(fd, id, this.#vcpuMapBytes, xsaveBytes);
  }

  /**
   * Which pages of a slot the guest wrote since the last call
   * (KVM_GET_DIRTY_LOG).
   *
   * @param bitmap filled with a bit a page; 8 bytes for each 64 pages begun
   * @throws {KvmError} when the bitmap is too short, or the slot has no log
   */
  getDirtyLog(slot: number, bitmap: Uint8Array<ArrayBuffer>): void {
    checkBitmap("KVM_GET_DIRTY_LOG", bitmap, this.#slotPages.get(slot) ?? 0);
    const bytes = new Uint8Array(SIZE.kvm_dirty_log);
    const view = new DataView(bytes.buffer);
    view.setUint32(DIRTY_LOG.slot, slot, true);
    view.setBigUint64(DIRTY_LOG.dirty_bitmap, addressOf(bitmap), true);
    unwrap(
      "KVM_GET_DIRTY_LOG",
      libc.ioctlBuffer(this.fd, KVM.KVM_GET_DIRTY_LOG, bytes),
    );
  }

  /**
   * Starts to watch pages anew (KVM_CLEAR_DIRTY_LOG), where
   * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 was enabled.
   *
   * @param firstPage a multiple of 64
   * @param pageCount a multiple of 64, or up to the slot's end
   * @param bitmap which of them, a bit each
   * @throws {KvmError} when the bitmap is too short, or the kernel refuses
   */
  clearDirtyLog(
    slot: number,
    firstPage: number,
    pageCount: number,
    bitmap: Uint8Array<ArrayBuffer>,
  ): void {
    checkBitmap("KVM_CLEAR_DIRTY_LOG", bitmap, pageCount);
    const bytes = new Uint8Array(SIZE.kvm_clear_dirty_log);
    const view = new DataView(bytes.buffer);
    view.setUint32(DIRTY_LOG.slot, slot, true);
    view.setUint32(DIRTY_LOG.clear_num_pages, pageCount, true);
    view.setBigUint64(DIRTY_LOG.clear_first_page, BigInt(firstPage), true);
    view.setBigUint64(DIRTY_LOG.clear_dirty_bitmap, addressOf(bitmap), true);
    unwrap(
      "KVM_CLEAR_DIRTY_LOG",
      libc.ioctlBuffer(this.fd, KVM.KVM_CLEAR_DIRTY_LOG, bytes),
    );
  }

  /** Enables a capability (KVM_ENABLE_CAP) with up to four arguments. */
  enableCapability(capability: number, ...args: bigint[]): void {
    const bytes = new Uint8Array(SIZE.kvm_enable_cap);
    const view = new DataView(bytes.buffer);
    view.setUint32(ENABLE_CAP.cap, capability, true);
    args.slice(0, 4).forEach((arg, i) =>
      view.setBigUint64(ENABLE_CAP.args + i * 8, arg, true)
    );
    unwrap(
      "KVM_ENABLE_CAP",
      libc.ioctlBuffer(this.fd, KVM.KVM_ENABLE_CAP, bytes),
    );
  }

  /** Closes the descriptor; the VM goes when its vCPUs are closed too. */
  [Symbol.dispose](): void {
    if (this.#fd === -1) return;
    libc.close(this.#fd);
    // The number may soon be another file's: no ioctl must reach that.
    this.#fd = -1;
  }
}

/** The kernel takes the bitmap's address only, and trusts its length. */
function checkBitmap(
  ioctl: string,
  bitmap: Uint8Array,
  pageCount: number,
): void {
  const neededBytes = Math.ceil(pageCount / 64) * 8;
  if (bitmap.length >= neededBytes) return;
  throw new KvmError(
    "KVM_CALL",
    `Cannot use a dirty bitmap of ${bitmap.length} bytes: ${pageCount} pages need ${neededBytes}`,
    { ioctl },
  );
}

/** Where a buffer is in this process. */
function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  // Small typed arrays live in the collector's heap, which moves; asking for
  // the buffer takes them out of it.
  void bytes.buffer;
  // SAFETY: the buffer is alive and in place for the call that follows, and
  // checkBitmap has seen to its length.
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}
