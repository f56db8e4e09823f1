/**
 * The registers of a program at a system call or an exception.
 *
 * @module
 */

import { KVM_SYNC, type KvmRun, REG, type RegName, SREGS } from "../kvm/mod.ts";
import { USER_CS, USER_RFLAGS, USER_SS } from "../vmm/mod.ts";

/** The six arguments, in order (syscall(2), x86-64). */
const ARGUMENTS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];

/** RFLAGS that a program may set: the status flags, TF, DF, AC and ID. */
const USER_FLAGS = 0x24_0dd5;

const TWO_32 = 0x1_0000_0000;

/** Access to one vCPU's registers through the page it shares with the kernel. */
export class Registers {
  readonly #run: KvmRun;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;

  /** @param run the vCPU's shared page */
  constructor(run: KvmRun) {
    this.#run = run;
    this.#u32 = run.syncRegsU32;
    this.#i32 = run.syncRegs;
  }

  /** The number of the system call: a C int, as the kernel takes it. */
  get callNumber(): number {
    return this.#i32[REG.rax];
  }

  /** Argument `i` as a C int. */
  int(i: number): number {
    return this.#i32[ARGUMENTS[i]];
  }

  /** Argument `i` as an unsigned int. */
  uint(i: number): number {
    return this.#u32[ARGUMENTS[i]];
  }

  /**
   * Argument `i` as an unsigned 64-bit number. One above 2^53 becomes 2^53 - 1:
   * as an address or a length it is out of range all the same.
   */
  u64(i: number): number {
    const at = ARGUMENTS[i];
    const high = this.#u32[at + 1];
    return high >= 0x20_0000
      ? Number.MAX_SAFE_INTEGER
      : high * TWO_32 + this.#u32[at];
  }

  /** Argument `i` as a signed 64-bit number, brought within ±2^53. */
  i64(i: number): number {
    const at = ARGUMENTS[i];
    const value = this.#i32[at + 1] * TWO_32 + this.#u32[at];
    return Math.max(
      Number.MIN_SAFE_INTEGER,
      Math.min(Number.MAX_SAFE_INTEGER, value),
    );
  }

  /** Sets the result of a system call; a number is -2^53 to 2^53. */
  setResult(value: number | bigint): void {
    if (typeof value === "bigint") return this.set("rax", value);
    this.#u32[REG.rax] = value; // modulo 2^32, for negative ones too
    this.#i32[REG.rax + 1] = Math.floor(value / TWO_32);
    this.#run.syncDirty |= KVM_SYNC.REGS;
  }

  /**
   * Goes back from the `syscall` stub to the program: RIP from RCX, RFLAGS from
   * R11, user segments.
   *
   * @returns false when RCX is no address that a program may run at
   */
  leaveSyscall(): boolean {
    const u32 = this.#u32;
    if (u32[REG.rcx + 1] >= 0x8000) return false;
    u32[REG.rip] = u32[REG.rcx];
    u32[REG.rip + 1] = u32[REG.rcx + 1];
    this.#setFlags(u32[REG.r11]);
    this.#run.syncDirty |= KVM_SYNC.REGS;
    if (this.#run.syncCsDpl !== 3) this.#setUserSegments();
    return true;
  }

  /** Goes back from an exception stub to where the exception's frame says. */
  leaveException(frame: ExceptionFrame): void {
    const u32 = this.#u32;
    u32[REG.rip] = Number(frame.rip & 0xffff_ffffn);
    u32[REG.rip + 1] = Number(frame.rip >> 32n);
    u32[REG.rsp] = Number(frame.rsp & 0xffff_ffffn);
    u32[REG.rsp + 1] = Number(frame.rsp >> 32n);
    this.#setFlags(frame.rflags);
    this.#run.syncDirty |= KVM_SYNC.REGS;
    this.#setUserSegments();
  }

  #setFlags(flags: number): void {
    this.#u32[REG.rflags] = (flags & USER_FLAGS) | Number(USER_RFLAGS);
    this.#u32[REG.rflags + 1] = 0;
  }

  #setUserSegments(): void {
    this.#run.writeSyncSegment(SREGS.cs, USER_CS);
    this.#run.writeSyncSegment(SREGS.ss, USER_SS);
    this.#run.syncDirty |= KVM_SYNC.SREGS;
  }

  /** A general register, all 64 bits. */
  get(name: RegName): bigint {
    const at = REG[name];
    return BigInt(this.#u32[at + 1]) << 32n | BigInt(this.#u32[at]);
  }

  /** Sets a general register; not RFLAGS. */
  set(name: Exclude<RegName, "rflags">, value: bigint): void {
    const at = REG[name];
    this.#u32[at] = Number(value & 0xffff_ffffn);
    this.#u32[at + 1] = Number(value >> 32n & 0xffff_ffffn);
    this.#run.syncDirty |= KVM_SYNC.REGS;
  }

  /** Sets RFLAGS, as far as a program may. */
  setFlags(flags: bigint): void {
    this.#setFlags(Number(flags & 0xffff_ffffn));
    this.#run.syncDirty |= KVM_SYNC.REGS;
  }

  /** Goes back by a `syscall` instruction, so that it is made again. */
  restartSyscall(): void {
    this.rip = BigInt.asUintN(64, this.rip - 2n);
  }

  /** Instruction pointer. */
  get rip(): bigint {
    return BigInt(this.#u32[REG.rip + 1]) << 32n | BigInt(this.#u32[REG.rip]);
  }

  set rip(address: bigint) {
    this.#u32[REG.rip] = Number(address & 0xffff_ffffn);
    this.#u32[REG.rip + 1] = Number(address >> 32n);
    this.#run.syncDirty |= KVM_SYNC.REGS;
  }

  /** The address that the last page fault was for. */
  get faultAddress(): bigint {
    return this.#run.syncCr2;
  }

  /** The base of FS: the thread's own storage. */
  get fsBase(): bigint {
    return this.#run.view.getBigUint64(
      this.#run.syncSregsOffset + SREGS.fs,
      true,
    );
  }

  /** The base of GS. */
  get gsBase(): bigint {
    return this.#run.view.getBigUint64(
      this.#run.syncSregsOffset + SREGS.gs,
      true,
    );
  }

  /** Sets the base of FS or GS. */
  setSegmentBase(segment: "fs" | "gs", base: bigint): void {
    this.#run.view.setBigUint64(
      this.#run.syncSregsOffset + SREGS[segment],
      base,
      true,
    );
    this.#run.syncDirty |= KVM_SYNC.SREGS;
  }

  /** Argument `i`, all 64 bits. */
  big(i: number): bigint {
    const at = ARGUMENTS[i];
    return BigInt(this.#u32[at + 1]) << 32n | BigInt(this.#u32[at]);
  }
}

/** What the CPU pushed for an exception (Intel SDM volume 3, 6.14.2). */
export interface ExceptionFrame {
  /** Zero for vectors without one. */
  readonly errorCode: number;
  /** Where it happened. */
  readonly rip: bigint;
  /** Whether it came from the program, not from a stub. */
  readonly fromUser: boolean;
  /** The low half of RFLAGS. */
  readonly rflags: number;
  /** Stack pointer. */
  readonly rsp: bigint;
}
