/**
 * The registers of a task that is not on the vCPU.
 *
 * @module
 */

import * as v from "valibot";
import { type KvmVcpu, REG, type Regs, SIZE, SREGS } from "../kvm/mod.ts";
import { KVM_SYNC, KvmError, readRegs, writeRegs } from "../kvm/mod.ts";
import { bytes } from "../state/mod.ts";
import {
  regsState,
  segmentBase,
  USER_CS,
  USER_END_VA,
  USER_SS,
  VmError,
} from "../vmm/mod.ts";

/** How the registers of a task that is not on the vCPU travel. */
export const taskRegistersState = v.object({
  /** struct kvm_regs: general registers, RIP, RFLAGS. */
  regs: v.pipe(
    regsState,
    v.check(({ rip }) => rip <= BigInt(USER_END_VA), "RIP is out of range"),
  ),
  /** The base of FS: the thread's own storage. */
  fsBase: segmentBase,
  /** The base of GS. */
  gsBase: segmentBase,
  /** The XSAVE area, as long as the vCPU's. */
  xsave: bytes(1 << 20),
});

/** Registers of a task, as they travel. */
export type TaskRegistersState = v.InferOutput<typeof taskRegistersState>;

/** RFLAGS that a program may set, and those that are always set. */
const USER_FLAGS = 0x24_0dd5n;
const FIXED_FLAGS = 0x202n;

/** Places in the XSAVE area (Intel SDM volume 1, 13.4): FCW, MXCSR, XSTATE_BV. */
const XSAVE = { controlWord: 0, mxcsr: 24, states: 512 } as const;

/** Words of struct kvm_regs. */
const REGS_WORDS = SIZE.kvm_regs / 4;

/**
 * A copy of what a task has in the vCPU: general registers, the bases of FS and
 * GS, and the XSAVE area. All other registers are the same for all tasks.
 */
export class TaskRegisters {
  readonly #regs = new Uint32Array(REGS_WORDS);
  /** FS and GS: low and high half each. */
  readonly #bases = new Uint32Array(4);
  readonly #xsave: Uint8Array<ArrayBuffer>;

  /** @param xsaveBytes length of the vCPU's XSAVE area */
  constructor(xsaveBytes: number) {
    this.#xsave = new Uint8Array(xsaveBytes);
  }

  /** Registers that were saved. */
  static of(state: TaskRegistersState): TaskRegisters {
    const registers = new TaskRegisters(state.xsave.length);
    const regs: Regs = {
      ...state.regs,
      rflags: state.regs.rflags & USER_FLAGS | FIXED_FLAGS,
    };
    writeRegs(new DataView(registers.#regs.buffer), regs);
    const bases = new BigUint64Array(registers.#bases.buffer);
    bases[0] = state.fsBase;
    bases[1] = state.gsBase;
    registers.#xsave.set(state.xsave);
    return registers;
  }

  /** Registers at a program's first instruction. */
  static first(
    xsaveBytes: number,
    rip: number,
    rsp: number,
  ): TaskRegisters {
    const registers = new TaskRegisters(xsaveBytes);
    const words = new BigUint64Array(registers.#regs.buffer);
    words[REG.rip / 2] = BigInt(rip);
    words[REG.rsp / 2] = BigInt(rsp);
    words[REG.rflags / 2] = FIXED_FLAGS;
    // As after a reset, but for the masks of the x87's and SSE's exceptions.
    const area = new DataView(registers.#xsave.buffer);
    area.setUint16(XSAVE.controlWord, 0x37f, true);
    area.setUint32(XSAVE.mxcsr, 0x1f80, true);
    area.setBigUint64(XSAVE.states, 3n, true);
    return registers;
  }

  /** What travels. */
  state(): TaskRegistersState {
    const bases = new BigUint64Array(this.#bases.buffer);
    return {
      regs: readRegs(new DataView(this.#regs.buffer)),
      fsBase: bases[0],
      gsBase: bases[1],
      xsave: this.#xsave.slice(),
    };
  }

  /** struct kvm_regs, in halves of 32 bits; see `REG`. */
  get regs(): Uint32Array<ArrayBuffer> {
    return this.#regs;
  }

  /** Sets what its system call gives: a small number, or a negative errno. */
  set result(value: number) {
    this.#regs[REG.rax] = value; // modulo 2^32, for negative ones too
    this.#regs[REG.rax + 1] = value < 0 ? -1 : 0;
  }

  /** Sets the base of FS. */
  set fsBase(base: bigint) {
    new BigUint64Array(this.#bases.buffer)[0] = base;
  }

  /**
   * Takes the registers of the task that is on the vCPU, which is between two
   * instructions of the program.
   */
  take(vcpu: KvmVcpu): void {
    const { run } = vcpu;
    this.#regs.set(run.syncRegsU32);
    const words = run.u32;
    const fs = (run.syncSregsOffset + SREGS.fs) / 4;
    const gs = (run.syncSregsOffset + SREGS.gs) / 4;
    this.#bases[0] = words[fs];
    this.#bases[1] = words[fs + 1];
    this.#bases[2] = words[gs];
    this.#bases[3] = words[gs + 1];
    vcpu.readXsave(this.#xsave);
  }

  /** Puts the registers into the vCPU: the next KVM_RUN goes on with them. */
  put(vcpu: KvmVcpu): void {
    const { run } = vcpu;
    run.syncRegsU32.set(this.#regs);
    const words = run.u32;
    const fs = (run.syncSregsOffset + SREGS.fs) / 4;
    const gs = (run.syncSregsOffset + SREGS.gs) / 4;
    words[fs] = this.#bases[0];
    words[fs + 1] = this.#bases[1];
    words[gs] = this.#bases[2];
    words[gs + 1] = this.#bases[3];
    // Whoever was there may have come from a stub, or gone to 32-bit code.
    run.writeSyncSegment(SREGS.cs, USER_CS);
    run.writeSyncSegment(SREGS.ss, USER_SS);
    run.syncDirty |= KVM_SYNC.REGS | KVM_SYNC.SREGS;
    vcpu.writeXsave(this.#xsave);
  }

  /**
   * Refuses an XSAVE area that this KVM does not take. The vCPU's own is as it
   * was afterwards.
   *
   * @throws {VmError} then
   */
  check(vcpu: KvmVcpu): void {
    const own = vcpu.getXsave();
    try {
      vcpu.writeXsave(this.#xsave);
    } catch (cause) {
      if (!(cause instanceof KvmError)) throw cause;
      throw new VmError(
        "VM_INCOMPATIBLE",
        `Cannot restore the registers of a thread: ${cause.message}`,
        { cause },
      );
    } finally {
      vcpu.setXsave(own);
    }
  }
}
