/**
 * The page that a vCPU shares with the kernel: struct kvm_run.
 *
 * @module
 */

import { RUN, SEGMENT, SIZE, SREGS } from "./layout.ts";
import { type Segment, writeSegment } from "./structs.ts";

/**
 * struct kvm_run of one vCPU, in place. Getters read typed arrays and allocate
 * nothing, so that an exit can be handled at the cost of the C loop.
 */
export class KvmRun {
  /** All of it, for reads and writes of any width. */
  readonly view: DataView<ArrayBuffer>;
  /** All of it, as bytes. */
  readonly u8: Uint8Array<ArrayBuffer>;
  /** All of it, as signed 32-bit words. */
  readonly i32: Int32Array<ArrayBuffer>;
  /** All of it, as unsigned 32-bit words. */
  readonly u32: Uint32Array<ArrayBuffer>;
  /** struct kvm_regs in it, as signed 32-bit halves; see `REG`. */
  readonly syncRegs: Int32Array<ArrayBuffer>;
  /** struct kvm_regs in it, as unsigned 32-bit halves; see `REG`. */
  readonly syncRegsU32: Uint32Array<ArrayBuffer>;
  /** Where struct kvm_sregs is in it, bytes. */
  readonly syncSregsOffset: number = RUN.sync_sregs;

  readonly #u32: Uint32Array;
  readonly #u16: Uint16Array;
  readonly #u8: Uint8Array;

  /**
   * Looks at a shared page.
   *
   * @param buffer the mapping of the vCPU's descriptor
   */
  constructor(buffer: ArrayBuffer) {
    this.view = new DataView(buffer);
    this.u8 = this.#u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = this.#u32 = new Uint32Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    const words = SIZE.kvm_regs / 4;
    this.syncRegs = new Int32Array(buffer, RUN.sync_regs, words);
    this.syncRegsU32 = new Uint32Array(buffer, RUN.sync_regs, words);
  }

  /** Why the vCPU left: one of KVM_EXIT. */
  get exitReason(): number {
    return this.#u32[RUN.exit_reason / 4];
  }

  /** For off-thread runs, to tell a stale reason from a new one. */
  set exitReason(reason: number) {
    this.#u32[RUN.exit_reason / 4] = reason;
  }

  /** When set, KVM_RUN completes the last exit and returns EINTR. */
  get immediateExit(): number {
    return this.#u8[RUN.immediate_exit];
  }

  set immediateExit(value: number) {
    this.#u8[RUN.immediate_exit] = value;
  }

  /** KVM_RUN_X86_*: system management mode, bus lock. */
  get flags(): number {
    return this.#u16[RUN.flags / 2];
  }

  /** 0 for `in`, 1 for `out`. */
  get ioDirection(): number {
    return this.#u8[RUN.io_direction];
  }

  /** 1, 2 or 4. */
  get ioSizeBytes(): number {
    return this.#u8[RUN.io_size];
  }

  /** The port. */
  get ioPort(): number {
    return this.#u16[RUN.io_port / 2];
  }

  /** How many items, for `rep ins` and `rep outs`. */
  get ioCount(): number {
    return this.#u32[RUN.io_count / 4];
  }

  /** Where the items are in this page, bytes. */
  get ioDataOffset(): number {
    return this.#u32[RUN.io_data_offset / 4];
  }

  /** The address; exact below 2^53. */
  get mmioGpa(): number {
    return this.#u32[RUN.mmio_phys_addr / 4 + 1] * 0x1_0000_0000 +
      this.#u32[RUN.mmio_phys_addr / 4];
  }

  /** Whether the guest writes. */
  get mmioIsWrite(): boolean {
    return this.#u8[RUN.mmio_is_write] !== 0;
  }

  /** The 1 to 8 bytes on their way. */
  get mmioData(): Uint8Array<ArrayBuffer> {
    const length = Math.min(this.#u32[RUN.mmio_len / 4], 8);
    return this.u8.subarray(RUN.mmio_data, RUN.mmio_data + length);
  }

  /** Which registers each exit brings along: KVM_SYNC bits. */
  get syncValid(): number {
    return this.#u32[RUN.kvm_valid_regs / 4];
  }

  set syncValid(mask: number) {
    this.#u32[RUN.kvm_valid_regs / 4] = mask;
  }

  /** Which registers the next KVM_RUN takes from here: KVM_SYNC bits. */
  get syncDirty(): number {
    return this.#u32[RUN.kvm_dirty_regs / 4];
  }

  set syncDirty(mask: number) {
    this.#u32[RUN.kvm_dirty_regs / 4] = mask;
  }

  /** Privilege level of the code segment. */
  get syncCsDpl(): number {
    return this.#u8[RUN.sync_sregs + SREGS.cs + SEGMENT.dpl];
  }

  /** The address of the last page fault. */
  get syncCr2(): bigint {
    return this.view.getBigUint64(RUN.sync_sregs + SREGS.cr2, true);
  }

  /** Sets a segment in the struct kvm_sregs here; `at` is one of SREGS. */
  writeSyncSegment(at: number, segment: Segment): void {
    writeSegment(this.view, RUN.sync_sregs + at, segment);
  }
}
