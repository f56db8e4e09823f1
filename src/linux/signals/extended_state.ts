/**
 * The x87, SSE and AVX registers in a signal's frame: an XSAVE area, as
 * arch/x86/kernel/fpu/signal.c writes and reads it.
 *
 * @module
 */

import { cpuidEntries, KvmError, type KvmVcpu } from "../../kvm/mod.ts";
import type { UserMemory } from "../user_memory.ts";

/** Where parts of an XSAVE area are (Intel SDM volume 1, 13.4; linux/asm/sigcontext.h). */
const AREA = {
  controlWord: 0,
  mxcsr: 24,
  mxcsrMask: 28,
  /** struct _fpx_sw_bytes, which the CPU leaves alone. */
  software: 464,
  legacyBytes: 512,
  features: 512,
  compaction: 520,
  headerEnd: 576,
} as const;

/** struct _fpx_sw_bytes: magic, whole size, features, size of the area. */
const SOFTWARE = { magic: 0, wholeBytes: 4, features: 8, areaBytes: 16 };

/** FP_XSTATE_MAGIC1, and FP_XSTATE_MAGIC2, which stands behind the area. */
const MAGIC1 = 0x4650_5853;
const MAGIC2 = 0x4650_5845;
const MAGIC2_BYTES = 4;

/** x87 and SSE, which are in every area. */
const LEGACY_FEATURES = 3n;

/** What a CPU has after a reset. */
const RESET = { controlWord: 0x37f, mxcsr: 0x1f80 } as const;

/** Bits of MXCSR on a CPU that says nothing of it. */
const DEFAULT_MXCSR_MASK = 0xffbf;

/** Frames' XSAVE areas, and what of the vCPU goes into them. */
export class ExtendedState {
  readonly #vcpu: KvmVcpu;
  readonly #user: UserMemory;
  /** Scratch as long as the vCPU's area. */
  readonly #area: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #layout: { features: bigint; areaBytes: number } | undefined;

  /** @param user the program's memory */
  constructor(vcpu: KvmVcpu, user: UserMemory) {
    this.#vcpu = vcpu;
    this.#user = user;
    this.#area = new Uint8Array(vcpu.xsaveBytes);
    this.#view = new DataView(this.#area.buffer);
  }

  /** Which parts the program may use, and how long an area with them is. */
  #known(): { features: bigint; areaBytes: number } {
    if (this.#layout) return this.#layout;
    const xcr0 = this.#vcpu.getXcrs().find(({ xcr }) => xcr === 0)?.value ?? 1n;
    const features = xcr0 | LEGACY_FEATURES;
    let areaBytes: number = AREA.headerEnd;
    for (
      const { leaf, subleaf, registers } of cpuidEntries(this.#vcpu.getCpuid())
    ) {
      if (leaf !== 0xd || subleaf < 2 || subleaf > 62) continue;
      if (!(features >> BigInt(subleaf) & 1n)) continue;
      // EAX is the size of this part, EBX where it begins.
      areaBytes = Math.max(
        areaBytes,
        (registers[0] >>> 0) + (registers[1] >>> 0),
      );
    }
    areaBytes = Math.min(areaBytes, this.#area.length);
    return this.#layout = { features, areaBytes };
  }

  /** Bytes that a frame needs for it. */
  get frameBytes(): number {
    return this.#known().areaBytes + MAGIC2_BYTES;
  }

  /** Writes the vCPU's to a frame; false where it cannot be written. */
  save(va: number): boolean {
    const { features, areaBytes } = this.#known();
    this.#vcpu.readXsave(this.#area);
    const view = this.#view;
    this.#area.fill(0, AREA.software, AREA.legacyBytes);
    const at = AREA.software;
    view.setUint32(at + SOFTWARE.magic, MAGIC1, true);
    view.setUint32(at + SOFTWARE.wholeBytes, areaBytes + MAGIC2_BYTES, true);
    view.setBigUint64(at + SOFTWARE.features, features, true);
    view.setUint32(at + SOFTWARE.areaBytes, areaBytes, true);
    const present = view.getBigUint64(AREA.features, true) & features;
    view.setBigUint64(AREA.features, present | LEGACY_FEATURES, true);
    if (!this.#user.write(va, this.#area, areaBytes)) return false;
    return this.#user.writeU32(va + areaBytes, MAGIC2) === 0;
  }

  /** Gives the vCPU what a program has when it begins. */
  reset(): void {
    this.#area.fill(0);
    this.#view.setUint16(AREA.controlWord, RESET.controlWord, true);
    this.#view.setUint32(AREA.mxcsr, RESET.mxcsr, true);
    this.#vcpu.writeXsave(this.#area);
  }

  /**
   * Gives the vCPU what a frame has, which the program may have changed.
   *
   * @returns false where it cannot be read, or is nothing that a CPU can hold
   */
  restore(va: number): boolean {
    if (va === 0) {
      this.reset();
      return true;
    }
    const { features, areaBytes } = this.#known();
    this.#vcpu.readXsave(this.#area);
    // A KVM that does not say knows all that any CPU has.
    const mxcsrMask = this.#view.getUint32(AREA.mxcsrMask, true) ||
      DEFAULT_MXCSR_MASK;
    this.#area.fill(0);
    const legacy = this.#area.subarray(0, AREA.legacyBytes);
    if (!this.#user.read(va, legacy)) return false;
    const view = this.#view;
    const at = AREA.software;
    const lengthBytes = view.getUint32(at + SOFTWARE.areaBytes, true);
    const wholeBytes = view.getUint32(at + SOFTWARE.wholeBytes, true);
    const wanted = view.getBigUint64(at + SOFTWARE.features, true) & features;
    const isExtended = view.getUint32(at + SOFTWARE.magic, true) === MAGIC1 &&
      lengthBytes >= AREA.headerEnd && lengthBytes <= areaBytes &&
      lengthBytes <= wholeBytes &&
      this.#user.readStruct(va + lengthBytes, MAGIC2_BYTES)
          ?.getUint32(0, true) === MAGIC2;
    if (isExtended) {
      if (!this.#user.read(va, this.#area.subarray(0, lengthBytes))) {
        return false;
      }
      const present = view.getBigUint64(AREA.features, true);
      const header = this.#area.subarray(AREA.compaction, AREA.headerEnd);
      if (present & ~features || header.some((byte) => byte !== 0)) {
        return false;
      }
      view.setBigUint64(AREA.features, present & wanted, true);
    } else view.setBigUint64(AREA.features, LEGACY_FEATURES, true);
    if (view.getUint32(AREA.mxcsr, true) & ~mxcsrMask) return false;
    view.setUint32(AREA.mxcsrMask, 0, true);
    this.#area.fill(0, AREA.software, AREA.legacyBytes);
    try {
      this.#vcpu.writeXsave(this.#area);
      return true;
    } catch (error) {
      if (error instanceof KvmError) return false;
      throw error;
    }
  }
}
