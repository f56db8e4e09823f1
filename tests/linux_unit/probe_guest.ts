/**
 * A program's address space with a real vCPU in it that tries single accesses:
 * what it may do is what counts, whatever the tables look like.
 *
 * @module
 */

import {
  ERRNO,
  Kvm,
  type KvmVcpu,
  type KvmVm,
  type Sregs,
} from "../../src/kvm/mod.ts";
import { AddressSpace } from "../../src/linux/address_space.ts";
import { readExceptionFrame } from "../../src/linux/faults.ts";
import { UserMemory } from "../../src/linux/user_memory.ts";
import {
  bootVcpu,
  Memory,
  PAGE_BYTES,
  PROT,
  writeBootPages,
} from "../../src/vmm/mod.ts";

/** An address space in memory of its own, without a vCPU. */
export class Space implements Disposable {
  readonly memory: Memory;
  readonly space: AddressSpace;
  readonly user: UserMemory;

  constructor(memoryBytes: number) {
    this.memory = new Memory(memoryBytes);
    writeBootPages(this.memory);
    this.space = new AddressSpace(this.memory);
    this.user = new UserMemory(this.memory, this.space);
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}

/** Where the code of the probes is. */
const CODE_VA = 0x20_0000;
/** mov (%rbx), %al; out %al, $0x60 */
const READ = [0x8a, 0x03, 0xe6, 0x60];
/** mov %al, (%rbx); out %al, $0x60 */
const WRITE = [0x88, 0x03, 0xe6, 0x60];
const WRITE_OFFSET = 16;
/** out %al, $0x60: what is executed at the address itself. */
const OUT = [0xe6, 0x60];
const DONE_PORT = 0x60;
const PAGE_FAULT_PORT = 0x80 + 14;

/** An address space with a vCPU that can be told to use an address. */
export class ProbeGuest extends Space {
  readonly kvm: Kvm;
  readonly vm: KvmVm;
  readonly vcpu: KvmVcpu;
  readonly #userSregs: Sregs;

  constructor(memoryBytes: number) {
    super(memoryBytes);
    this.space.map(CODE_VA, PAGE_BYTES, PROT.read | PROT.exec, "program");
    this.user.load(CODE_VA, new Uint8Array(READ));
    this.user.load(CODE_VA + WRITE_OFFSET, new Uint8Array(WRITE));
    this.kvm = Kvm.open();
    this.vm = this.kvm.createVm();
    this.memory.attach(this.vm);
    this.vcpu = this.vm.createVcpu(0);
    this.vcpu.setCpuid(this.kvm.supportedCpuid());
    bootVcpu(this.vcpu, CODE_VA, 0);
    this.#userSregs = this.vcpu.getSregs();
  }

  /** The byte that the program reads at `va`; `undefined` when it faults. */
  read(va: number): number | undefined {
    return this.#try(CODE_VA, va, 0, PROT.read);
  }

  /** Whether the program could write `byte` at `va`. */
  write(va: number, byte: number): boolean {
    return this.#try(CODE_VA + WRITE_OFFSET, va, byte, PROT.write) !==
      undefined;
  }

  /** Whether the program may execute what is at `va`. */
  execute(va: number): boolean {
    const gpa = this.space.locate(va);
    const kept = gpa < 0 ? undefined : this.memory.bytes(gpa, 2).slice();
    if (kept) this.memory.write(gpa, new Uint8Array(OUT));
    const done = this.#try(va, va, 0, PROT.exec) !== undefined;
    if (kept) this.memory.write(gpa, kept);
    return done;
  }

  #try(
    rip: number,
    va: number,
    al: number,
    access: number,
  ): number | undefined {
    // As the run loop does: a fault that an area allows is tried again.
    for (let tries = 0; tries < 8; tries++) {
      const value = this.#once(rip, va, al);
      if (value !== undefined) return value;
      const { errorCode } = readExceptionFrame(this.memory, 14);
      const seen = errorCode & 16
        ? PROT.exec
        : errorCode & 2
        ? PROT.write
        : PROT.read;
      if (seen !== access) {
        throw new Error(`error code ${errorCode} for ${access}`);
      }
      if (!this.space.fault(va, access)) return undefined;
      if (tries > 2) {
        const page = va - va % PAGE_BYTES;
        this.memory.dropTranslations(this.space.locate(page), PAGE_BYTES);
      }
    }
    throw new Error(`0x${va.toString(16)} goes on faulting`);
  }

  #once(rip: number, va: number, al: number): number | undefined {
    const { vcpu } = this;
    const { run } = vcpu;
    vcpu.setSregs(this.#userSregs);
    vcpu.setRegs({
      ...vcpu.getRegs(),
      rip: BigInt(rip),
      rbx: BigInt(va),
      rax: BigInt(al),
      rflags: 0x202n,
    });
    const result = vcpu.runSync();
    if (result !== 0) throw new Error(`KVM_RUN: ${result}`);
    const port = run.ioPort;
    const value = run.view.getUint8(run.ioDataOffset);
    // The exit is complete only with the next KVM_RUN.
    run.immediateExit = 1;
    if (vcpu.runSync() !== -ERRNO.EINTR) {
      throw new Error("it cannot be settled");
    }
    run.immediateExit = 0;
    if (port === DONE_PORT) return value;
    if (port !== PAGE_FAULT_PORT) {
      throw new Error(`port 0x${port.toString(16)}`);
    }
    const { cr2 } = vcpu.getSregs();
    if (cr2 !== BigInt(va)) throw new Error(`CR2 is 0x${cr2.toString(16)}`);
    return undefined;
  }

  override [Symbol.dispose](): void {
    this.vcpu[Symbol.dispose]();
    this.vm[Symbol.dispose]();
    this.kvm[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}
