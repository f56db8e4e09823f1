/**
 * A virtual CPU.
 *
 * @module
 */

import { KVM } from "./constants.ts";
import { getCpuid } from "./cpuid.ts";
import { KvmError, unwrap } from "./errors.ts";
import { CPUID, MP_STATE, MSRS, SIZE } from "./layout.ts";
import { errno, libc } from "./libc.ts";
import { KvmRun } from "./run.ts";
import {
  type DebugRegs,
  type MsrEntry,
  readDebugRegs,
  readEvents,
  readRegs,
  readSregs,
  readXcrs,
  type Regs,
  type Sregs,
  type VcpuEvents,
  writeDebugRegs,
  writeEvents,
  writeRegs,
  writeSregs,
  writeXcrs,
  type Xcr,
} from "./structs.ts";

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

/** KVM_MAX_XCRS, from asm/kvm.h. */
const MAX_XCRS = 16;

/** A virtual CPU of one VM. Only one thread may use it at a time. */
export class KvmVcpu {
  #fd: number;
  /** Its number in the VM. */
  readonly id: number;
  /** The page it shares with the kernel. */
  readonly run: KvmRun;

  readonly #mapping: { address: number; lengthBytes: number };
  readonly #xsaveBytes: number;
  /** The ioctl that gives the whole area. */
  readonly #getXsave: number;

  /**
   * For `KvmVm.createVcpu`.
   *
   * @param fd its descriptor, which this object then owns
   * @param mapBytes what KVM_GET_VCPU_MMAP_SIZE gives
   * @param xsaveBytes what KVM_CAP_XSAVE2 gives
   */
  constructor(fd: number, id: number, mapBytes: number, xsaveBytes: number) {
    this.#fd = fd;
    this.id = id;
    this.#xsaveBytes = Math.max(xsaveBytes, SIZE.kvm_xsave);
    this.#getXsave = this.#xsaveBytes > SIZE.kvm_xsave
      ? KVM.KVM_GET_XSAVE2
      : KVM.KVM_GET_XSAVE;
    const address = Number(
      libc.mmap(0, mapBytes, PROT_READ_WRITE, MAP_SHARED, fd, 0),
    );
    if (address === -1) {
      const failed = errno();
      libc.close(fd);
      throw new KvmError("KVM_CALL", `Cannot map the vCPU's shared page`, {
        ioctl: "mmap",
        errno: failed,
      });
    }
    this.#mapping = { address, lengthBytes: mapBytes };
    // SAFETY: the mapping stays until dispose(), which detaches the buffer
    // first, so that no view can reach memory that is gone.
    this.run = new KvmRun(
      Deno.UnsafePointerView.getArrayBuffer(
        Deno.UnsafePointer.create(BigInt(address))!,
        mapBytes,
      ),
    );
  }

  /** Its descriptor; -1 once disposed. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Enters the guest on this thread (KVM_RUN).
   *
   * @returns 0 after an exit, else a negative errno: -EINTR after a signal
   */
  runSync(): number {
    return libc.ioctl(this.#fd, KVM.KVM_RUN, 0) === 0 ? 0 : -errno();
  }

  /**
   * Enters the guest on another thread.
   *
   * @returns 0 after an exit, else -1; which error it was is not known
   */
  runAsync(): Promise<number> {
    return libc.ioctlAsync(this.fd, KVM.KVM_RUN, 0);
  }

  /** A get ioctl that fills a structure of `lengthBytes`. */
  #get(name: keyof typeof KVM, lengthBytes: number): DataView<ArrayBuffer> {
    const bytes = new Uint8Array(lengthBytes);
    unwrap(name, libc.ioctlBuffer(this.fd, KVM[name], bytes));
    return new DataView(bytes.buffer);
  }

  /** A set ioctl with a structure. */
  #set(name: keyof typeof KVM, view: DataView<ArrayBuffer>): void {
    const bytes = new Uint8Array(view.buffer);
    unwrap(name, libc.ioctlBuffer(this.fd, KVM[name], bytes));
  }

  /** General registers (KVM_GET_REGS). */
  getRegs(): Regs {
    return readRegs(this.#get("KVM_GET_REGS", SIZE.kvm_regs));
  }

  /** Sets the general registers (KVM_SET_REGS). */
  setRegs(regs: Regs): void {
    const view = new DataView(new ArrayBuffer(SIZE.kvm_regs));
    writeRegs(view, regs);
    this.#set("KVM_SET_REGS", view);
  }

  /** Segment and control registers (KVM_GET_SREGS). */
  getSregs(): Sregs {
    return readSregs(this.#get("KVM_GET_SREGS", SIZE.kvm_sregs));
  }

  /** Sets the segment and control registers (KVM_SET_SREGS). */
  setSregs(sregs: Sregs): void {
    const view = new DataView(new ArrayBuffer(SIZE.kvm_sregs));
    writeSregs(view, sregs);
    this.#set("KVM_SET_SREGS", view);
  }

  /**
   * Model-specific registers (KVM_GET_MSRS).
   *
   * @throws {KvmError} naming the first one that KVM does not have
   */
  getMsrs(indices: Iterable<number>): MsrEntry[] {
    const wanted = [...indices].map((index) => ({ index, value: 0n }));
    const view = this.#msrs("KVM_GET_MSRS", wanted);
    return wanted.map(({ index }, i) => ({
      index,
      value: view.getBigUint64(
        SIZE.kvm_msrs + i * SIZE.kvm_msr_entry + MSRS.data,
        true,
      ),
    }));
  }

  /**
   * Sets model-specific registers (KVM_SET_MSRS).
   *
   * @throws {KvmError} naming the first one that KVM refuses
   */
  setMsrs(entries: readonly MsrEntry[]): void {
    this.#msrs("KVM_SET_MSRS", entries);
  }

  #msrs(
    name: "KVM_GET_MSRS" | "KVM_SET_MSRS",
    entries: readonly MsrEntry[],
  ): DataView<ArrayBuffer> {
    const bytes = new Uint8Array(
      SIZE.kvm_msrs + entries.length * SIZE.kvm_msr_entry,
    );
    const view = new DataView(bytes.buffer);
    view.setUint32(MSRS.nmsrs, entries.length, true);
    entries.forEach(({ index, value }, i) => {
      const at = SIZE.kvm_msrs + i * SIZE.kvm_msr_entry;
      view.setUint32(at + MSRS.index, index, true);
      view.setBigUint64(at + MSRS.data, value, true);
    });
    const done = unwrap(name, libc.ioctlBuffer(this.fd, KVM[name], bytes));
    if (done < entries.length) {
      const { index, value } = entries[done];
      throw new KvmError(
        "KVM_CALL",
        `${name} refused MSR 0x${index.toString(16)}${
          name === "KVM_SET_MSRS" ? ` with value 0x${value.toString(16)}` : ""
        }`,
        { ioctl: name },
      );
    }
    return view;
  }

  /** The XSAVE area: FPU, SSE, AVX and on (KVM_GET_XSAVE, KVM_GET_XSAVE2). */
  getXsave(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#xsaveBytes);
    this.readXsave(bytes);
    return bytes;
  }

  /** Bytes of the XSAVE area. */
  get xsaveBytes(): number {
    return this.#xsaveBytes;
  }

  /**
   * Copies the XSAVE area to `into`, which is as long, and allocates nothing.
   */
  readXsave(into: Uint8Array<ArrayBuffer>): void {
    this.#checkXsave(into);
    unwrap("KVM_GET_XSAVE", libc.ioctlBuffer(this.fd, this.#getXsave, into));
  }

  /**
   * Sets the XSAVE area to `bytes`, which is as long, and allocates nothing.
   *
   * @throws {KvmError} when KVM refuses it
   */
  writeXsave(bytes: Uint8Array<ArrayBuffer>): void {
    this.#checkXsave(bytes);
    unwrap(
      "KVM_SET_XSAVE",
      libc.ioctlBuffer(this.fd, KVM.KVM_SET_XSAVE, bytes),
    );
  }

  #checkXsave(bytes: Uint8Array): void {
    if (bytes.length === this.#xsaveBytes) return;
    throw new KvmError(
      "KVM_CALL",
      `Cannot use an XSAVE area of ${bytes.length} bytes: this KVM's has ${this.#xsaveBytes}`,
      { ioctl: "KVM_SET_XSAVE" },
    );
  }

  /** Sets the XSAVE area (KVM_SET_XSAVE), as {@linkcode getXsave} gives it. */
  setXsave(bytes: Uint8Array): void {
    this.writeXsave(new Uint8Array(bytes));
  }

  /** Extended control registers (KVM_GET_XCRS). */
  getXcrs(): Xcr[] {
    return readXcrs(this.#get("KVM_GET_XCRS", SIZE.kvm_xcrs));
  }

  /**
   * Sets the extended control registers (KVM_SET_XCRS).
   *
   * @throws {KvmError} when there are more than 16, or KVM refuses them
   */
  setXcrs(xcrs: readonly Xcr[]): void {
    if (xcrs.length > MAX_XCRS) {
      throw new KvmError(
        "KVM_CALL",
        `Cannot set ${xcrs.length} extended control registers: must be <= ${MAX_XCRS}`,
        { ioctl: "KVM_SET_XCRS" },
      );
    }
    const view = new DataView(new ArrayBuffer(SIZE.kvm_xcrs));
    writeXcrs(view, xcrs);
    this.#set("KVM_SET_XCRS", view);
  }

  /** Debug registers (KVM_GET_DEBUGREGS). */
  getDebugRegs(): DebugRegs {
    return readDebugRegs(this.#get("KVM_GET_DEBUGREGS", SIZE.kvm_debugregs));
  }

  /** Sets the debug registers (KVM_SET_DEBUGREGS). */
  setDebugRegs(regs: DebugRegs): void {
    const view = new DataView(new ArrayBuffer(SIZE.kvm_debugregs));
    writeDebugRegs(view, regs);
    this.#set("KVM_SET_DEBUGREGS", view);
  }

  /** Exceptions and interrupts under way (KVM_GET_VCPU_EVENTS). */
  getVcpuEvents(): VcpuEvents {
    return readEvents(this.#get("KVM_GET_VCPU_EVENTS", SIZE.kvm_vcpu_events));
  }

  /** Sets the exceptions and interrupts under way (KVM_SET_VCPU_EVENTS). */
  setVcpuEvents(events: VcpuEvents): void {
    const view = new DataView(new ArrayBuffer(SIZE.kvm_vcpu_events));
    writeEvents(view, events);
    this.#set("KVM_SET_VCPU_EVENTS", view);
  }

  /** Runnable, halted and so on: KVM_MP_STATE_* (KVM_GET_MP_STATE). */
  getMpState(): number {
    const view = this.#get("KVM_GET_MP_STATE", SIZE.kvm_mp_state);
    return view.getUint32(MP_STATE.mp_state, true);
  }

  /** Sets the multiprocessing state (KVM_SET_MP_STATE). */
  setMpState(state: number): void {
    const view = new DataView(new ArrayBuffer(SIZE.kvm_mp_state));
    view.setUint32(MP_STATE.mp_state, state, true);
    this.#set("KVM_SET_MP_STATE", view);
  }

  /** struct kvm_cpuid2 as it was set (KVM_GET_CPUID2). */
  getCpuid(): Uint8Array<ArrayBuffer> {
    return getCpuid(this.fd, "KVM_GET_CPUID2");
  }

  /**
   * Sets what CPUID answers (KVM_SET_CPUID2).
   *
   * @param bytes struct kvm_cpuid2 with its entries, and nothing behind them
   * @throws {KvmError} when the count in it does not fit its length
   */
  setCpuid(bytes: Uint8Array): void {
    // A copy of its own: the kernel reads as many entries as the count says.
    const view = new DataView(new Uint8Array(bytes).buffer);
    const count = view.byteLength >= SIZE.kvm_cpuid2
      ? view.getUint32(CPUID.nent, true)
      : -1;
    const length = SIZE.kvm_cpuid2 + count * SIZE.kvm_cpuid_entry2;
    if (count < 0 || view.byteLength !== length) {
      throw new KvmError(
        "KVM_CALL",
        `Cannot set CPUID: ${view.byteLength} bytes do not hold ${
          Math.max(count, 0)
        } entries and their header`,
        { ioctl: "KVM_SET_CPUID2" },
      );
    }
    this.#set("KVM_SET_CPUID2", view);
  }

  /** Frequency of the time-stamp counter, kHz (KVM_GET_TSC_KHZ). */
  getTscKhz(): number {
    return unwrap(
      "KVM_GET_TSC_KHZ",
      libc.ioctl(this.fd, KVM.KVM_GET_TSC_KHZ, 0),
    );
  }

  /** Sets the frequency of the time-stamp counter (KVM_SET_TSC_KHZ). */
  setTscKhz(khz: number): void {
    unwrap("KVM_SET_TSC_KHZ", libc.ioctl(this.fd, KVM.KVM_SET_TSC_KHZ, khz));
  }

  /**
   * Unmaps the shared page and closes the descriptor. Only while no
   * {@linkcode runAsync} is under way.
   */
  [Symbol.dispose](): void {
    if (this.#fd === -1) return;
    this.run.view.buffer.transfer(0);
    // SAFETY: the mapping is this object's own, and no view reaches it now.
    libc.munmap(this.#mapping.address, this.#mapping.lengthBytes);
    libc.close(this.#fd);
    // The number may soon be another file's: no ioctl must reach that.
    this.#fd = -1;
  }
}
