/**
 * How a vCPU travels: every register that a program's course depends on.
 *
 * @module
 */

import * as v from "valibot";
import {
  bytes,
  type Component,
  type Dump,
  type StateSchema,
  u32,
  u64,
} from "../state/mod.ts";
import { cpuidEntries, type Kvm, KvmError, type KvmVcpu } from "../kvm/mod.ts";
import { VmError } from "./errors.ts";
import { SYSCALL_STUB_VA } from "./layout.ts";
import type { SyscallBehaviour } from "./probe.ts";

const u8 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));

const segment = v.object({
  base: u64,
  limit: u32,
  selector: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff)),
  type: u8,
  present: u8,
  dpl: u8,
  db: u8,
  s: u8,
  l: u8,
  g: u8,
  avl: u8,
  unusable: u8,
});
/** Of FS and GS: it goes into an MSR as it is; a program may set any address. */
export const segmentBase: v.GenericSchema<unknown, bigint> = v.pipe(
  u64,
  v.check(isCanonical, "must be an address of 48 bits"),
);
const based = v.object({ ...segment.entries, base: segmentBase });
const table = v.object({
  base: u64,
  limit: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff)),
});

/** Whether an address is one for a CPU with four levels of page tables. */
function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}

/** Bits of DR7 that enable a breakpoint (Intel SDM volume 3, 18.2.4). */
const DR7_ENABLED = 0xffn;

/** struct kvm_regs. */
export const regsState = v.object({
  rax: u64,
  rbx: u64,
  rcx: u64,
  rdx: u64,
  rsi: u64,
  rdi: u64,
  rsp: u64,
  rbp: u64,
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  rip: u64,
  rflags: u64,
});

/** How a vCPU travels; names are those of the kernel's structures. */
export const vcpuState = {
  kind: "vcpu",
  version: 1,
  schema: v.object({
    /** struct kvm_regs. */
    regs: regsState,
    /** struct kvm_sregs. */
    sregs: v.object({
      cs: segment,
      ds: segment,
      es: segment,
      fs: based,
      gs: based,
      ss: segment,
      tr: segment,
      ldt: segment,
      gdt: table,
      idt: table,
      cr0: u64,
      cr2: u64,
      cr3: u64,
      cr4: u64,
      cr8: u64,
      efer: u64,
      apic_base: u64,
      interrupt_bitmap: v.pipe(v.array(u64), v.length(4)),
    }),
    /** Every model-specific register of KVM_GET_MSR_INDEX_LIST. */
    msrs: v.pipe(
      v.array(v.object({ index: u32, value: u64 })),
      v.maxLength(1024),
    ),
    /** The XSAVE area: x87, SSE, AVX, AVX-512 registers. */
    xsave: bytes(1 << 20),
    /** Which of them are enabled. */
    xcrs: v.pipe(
      v.array(v.object({ xcr: u32, value: u64 })),
      v.maxLength(16),
    ),
    /** struct kvm_debugregs. */
    debugRegs: v.object({
      db: v.pipe(v.array(u64), v.length(4)),
      dr6: u64,
      /** No program can set a breakpoint of the CPU's. */
      dr7: v.pipe(
        u64,
        v.check((dr7) => (dr7 & DR7_ENABLED) === 0n, "has breakpoints"),
      ),
      flags: u64,
    }),
    /** struct kvm_vcpu_events. */
    events: v.object({
      exception_injected: u8,
      exception_nr: u8,
      exception_has_error_code: u8,
      exception_pending: u8,
      exception_error_code: u32,
      interrupt_injected: u8,
      interrupt_nr: u8,
      interrupt_soft: u8,
      interrupt_shadow: u8,
      nmi_injected: u8,
      nmi_pending: u8,
      nmi_masked: u8,
      sipi_vector: u32,
      flags: u32,
      smi_smm: u8,
      smi_pending: u8,
      smi_smm_inside_nmi: u8,
      smi_latched_init: u8,
      triple_fault_pending: u8,
      exception_has_payload: u8,
      exception_payload: u64,
    }),
    /** KVM_MP_STATE_*. */
    mpState: u32,
    /** Frequency of the time-stamp counter, kHz. */
    tscKhz: u32,
    /** struct kvm_cpuid2: what the program was told about the CPU. */
    cpuid: bytes(1 << 16),
  }),
} satisfies StateSchema<unknown>;

/** The state of a vCPU, version 1. */
export type VcpuStateV1 = v.InferOutput<typeof vcpuState.schema>;

/**
 * Where each feature bit of CPUID is: leaf, subleaf, register (0 EAX … 3 EDX).
 * A program may use what these showed it.
 */
const FEATURE_WORDS: readonly (readonly [number, number, number])[] = [
  [1, 0, 2],
  [1, 0, 3],
  [7, 0, 1],
  [7, 0, 2],
  [7, 0, 3],
  [7, 1, 0],
  [0xd, 0, 0],
  [0xd, 1, 0],
  [0x8000_0001, 0, 2],
  [0x8000_0001, 0, 3],
];

/**
 * Bits that mirror control registers or describe the machine, not the CPU's
 * instructions: leaf 1 ECX OSXSAVE and hypervisor; leaf 1 EDX APIC; leaf 7
 * ECX OSPKE.
 */
const IGNORED_BITS: Readonly<Record<string, number>> = {
  "1.0.2": 0x8800_0000 | 0,
  "1.0.3": 1 << 9,
  "7.0.2": 1 << 4,
};

/** The component that dumps a vCPU. Only while it is paused and settled. */
export class VcpuSaver implements Component {
  readonly id: string;
  readonly kind: string = vcpuState.kind;
  readonly version: number = vcpuState.version;
  readonly #vcpu: KvmVcpu;
  readonly #msrs: readonly number[];

  /** @param msrs the indices that `Kvm.msrIndexList` gives */
  constructor(vcpu: KvmVcpu, msrs: readonly number[]) {
    this.#vcpu = vcpu;
    this.#msrs = msrs;
    this.id = `vcpu${vcpu.id}`;
  }

  /** Answers with all registers. */
  dump(): Dump {
    const vcpu = this.#vcpu;
    // First: it is what moves the address of a page fault that is still to be
    // delivered into CR2, and such of a debug exception into DR6.
    const events = vcpu.getVcpuEvents();
    const state = {
      regs: vcpu.getRegs(),
      sregs: vcpu.getSregs(),
      msrs: vcpu.getMsrs(this.#msrs),
      xsave: vcpu.getXsave(),
      xcrs: vcpu.getXcrs(),
      debugRegs: vcpu.getDebugRegs(),
      events,
      mpState: vcpu.getMpState(),
      tscKhz: vcpu.getTscKhz(),
      cpuid: vcpu.getCpuid(),
    };
    return { answer: "payload", value: state };
  }
}

/** The words of a struct kvm_cpuid2 by "leaf.subleaf.register". */
function featureWords(cpuid: Uint8Array): Map<string, number> {
  const words = new Map<string, number>();
  for (const { leaf, subleaf, registers } of cpuidEntries(cpuid)) {
    registers.forEach((word, i) => words.set(`${leaf}.${subleaf}.${i}`, word));
  }
  return words;
}

/**
 * Whether a vCPU here can run what was saved elsewhere.
 *
 * @param vcpu one with its CPUID set: what it answers then is what a program
 * sees, which on some KVMs is more than KVM_GET_SUPPORTED_CPUID says
 * @throws {VmError} naming what this CPU lacks
 */
export function checkVcpuState(vcpu: KvmVcpu, state: VcpuStateV1): void {
  const here = featureWords(vcpu.getCpuid());
  const saved = featureWords(state.cpuid);
  const lacks: string[] = [];
  for (const [leaf, subleaf, register] of FEATURE_WORDS) {
    const key = `${leaf}.${subleaf}.${register}`;
    const missing = (saved.get(key) ?? 0) & ~(here.get(key) ?? 0) &
      ~(IGNORED_BITS[key] ?? 0);
    for (let bit = 0; bit < 32; bit++) {
      if (missing & (1 << bit)) {
        const name = ["EAX", "EBX", "ECX", "EDX"][register];
        lacks.push(
          `CPUID ${leaf.toString(16)}h.${subleaf} ${name} bit ${bit}`,
        );
      }
    }
  }
  if (lacks.length > 0) {
    throw new VmError(
      "VM_INCOMPATIBLE",
      `Cannot run this program here: it may use CPU features that this machine lacks: ${
        lacks.join(", ")
      }`,
    );
  }
}

/**
 * Refuses a vCPU that was frozen inside a stub of a KVM of the other kind,
 * whose next instruction would not find the privilege that it expects.
 *
 * @param probe finds out what this one does; called only if it matters
 * @throws {VmError} then
 */
export function checkSyscall(
  probe: () => SyscallBehaviour,
  saved: SyscallBehaviour,
  state: VcpuStateV1,
): void {
  const inStub = state.sregs.cs.dpl === 0 ||
    state.regs.rip >= BigInt(SYSCALL_STUB_VA);
  if (!inStub) return;
  const here = probe();
  if (here === saved) return;
  throw new VmError(
    "VM_INCOMPATIBLE",
    `Cannot run this program here: it was frozen in the middle of entering a system call, which ${saved} where it was saved and ${here} here`,
    { hint: "save it again" },
  );
}

/** Paravirtual MSRs of KVM's own (0x4b564d00 and on) are the VM's, not ours. */
function isParavirtual(index: number): boolean {
  return index >>> 8 === 0x4b564d;
}

/**
 * Puts a saved state into a fresh vCPU, whose CPUID is set.
 *
 * @throws {VmError} when KVM refuses some of it
 */
export function loadVcpu(vcpu: KvmVcpu, kvm: Kvm, state: VcpuStateV1): void {
  try {
    // What the program was told about the CPU stays true.
    vcpu.setCpuid(state.cpuid);
    vcpu.setSregs(state.sregs);
    // XCR0 says which parts of the XSAVE area there are: first.
    vcpu.setXcrs(state.xcrs);
    vcpu.setXsave(state.xsave);
    const known = new Set(kvm.msrIndexList());
    const msrs = state.msrs.filter(({ index, value }) =>
      !isParavirtual(index) && (known.has(index) || value !== 0n)
    );
    vcpu.setMsrs(msrs);
    vcpu.setDebugRegs(state.debugRegs);
    vcpu.setMpState(state.mpState);
    vcpu.setVcpuEvents(state.events);
    vcpu.setRegs(state.regs);
  } catch (cause) {
    if (!(cause instanceof KvmError)) throw cause;
    throw new VmError(
      "VM_INCOMPATIBLE",
      `Cannot restore "vcpu${vcpu.id}": ${cause.message}`,
      { cause },
    );
  }
}
