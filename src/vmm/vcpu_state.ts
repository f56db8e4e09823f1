/**
 * How a vCPU travels: every register that a program's course depends on.
 *
 * @module
 */

import * as v from "valibot";
import type { Component, Dump, StateSchema } from "../state/mod.ts";
import { type Kvm, KvmError, type KvmVcpu, SIZE } from "../kvm/mod.ts";
import { VmError } from "./errors.ts";

const word = v.pipe(
  v.union([v.number(), v.bigint()]),
  v.transform(BigInt),
  v.minValue(0n),
  v.maxValue(0xffff_ffff_ffff_ffffn),
);
const u32 = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(0xffff_ffff),
);
const u8 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));

const segment = v.object({
  base: word,
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
const table = v.object({
  base: word,
  limit: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff)),
});

/** How a vCPU travels; names are those of the kernel's structures. */
export const vcpuState = {
  kind: "vcpu",
  version: 1,
  schema: v.object({
    /** struct kvm_regs. */
    regs: v.object({
      rax: word,
      rbx: word,
      rcx: word,
      rdx: word,
      rsi: word,
      rdi: word,
      rsp: word,
      rbp: word,
      r8: word,
      r9: word,
      r10: word,
      r11: word,
      r12: word,
      r13: word,
      r14: word,
      r15: word,
      rip: word,
      rflags: word,
    }),
    /** struct kvm_sregs. */
    sregs: v.object({
      cs: segment,
      ds: segment,
      es: segment,
      fs: segment,
      gs: segment,
      ss: segment,
      tr: segment,
      ldt: segment,
      gdt: table,
      idt: table,
      cr0: word,
      cr2: word,
      cr3: word,
      cr4: word,
      cr8: word,
      efer: word,
      apic_base: word,
      interrupt_bitmap: v.pipe(v.array(word), v.length(4)),
    }),
    /** Every model-specific register of KVM_GET_MSR_INDEX_LIST. */
    msrs: v.pipe(
      v.array(v.object({ index: u32, value: word })),
      v.maxLength(1024),
    ),
    /** The XSAVE area: x87, SSE, AVX, AVX-512 registers. */
    xsave: v.pipe(v.instance(Uint8Array), v.maxLength(1 << 20)),
    /** Which of them are enabled. */
    xcrs: v.pipe(
      v.array(v.object({ xcr: u32, value: word })),
      v.maxLength(16),
    ),
    /** struct kvm_debugregs. */
    debugRegs: v.object({
      db: v.pipe(v.array(word), v.length(4)),
      dr6: word,
      dr7: word,
      flags: word,
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
      exception_payload: word,
    }),
    /** KVM_MP_STATE_*. */
    mpState: u32,
    /** Frequency of the time-stamp counter, kHz. */
    tscKhz: u32,
    /** struct kvm_cpuid2: what the program was told about the CPU. */
    cpuid: v.pipe(v.instance(Uint8Array), v.maxLength(1 << 16)),
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
    const state = {
      regs: vcpu.getRegs(),
      sregs: vcpu.getSregs(),
      msrs: vcpu.getMsrs(this.#msrs),
      xsave: vcpu.getXsave(),
      xcrs: vcpu.getXcrs(),
      debugRegs: vcpu.getDebugRegs(),
      events: vcpu.getVcpuEvents(),
      mpState: vcpu.getMpState(),
      tscKhz: vcpu.getTscKhz(),
      cpuid: vcpu.getCpuid(),
    };
    return { answer: "payload", value: state };
  }
}

/** The words of a struct kvm_cpuid2 by "leaf.subleaf.register". */
function featureWords(cpuid: Uint8Array): Map<string, number> {
  const view = new DataView(cpuid.buffer, cpuid.byteOffset, cpuid.length);
  const words = new Map<string, number>();
  for (
    let at = SIZE.kvm_cpuid2;
    at + SIZE.kvm_cpuid_entry2 <= cpuid.length;
    at += SIZE.kvm_cpuid_entry2
  ) {
    const leaf = view.getUint32(at, true);
    const subleaf = view.getUint32(at + 4, true);
    for (let register = 0; register < 4; register++) {
      words.set(
        `${leaf}.${subleaf}.${register}`,
        view.getUint32(at + 12 + register * 4, true),
      );
    }
  }
  return words;
}

/**
 * Whether this machine can run a vCPU that was saved elsewhere.
 *
 * @throws {VmError} naming what this CPU lacks
 */
export function checkVcpuState(kvm: Kvm, state: VcpuStateV1): void {
  const here = featureWords(kvm.supportedCpuid());
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

/** Paravirtual MSRs of KVM's own (0x4b564d00 and on) are the VM's, not ours. */
function isParavirtual(index: number): boolean {
  return index >>> 8 === 0x4b564d;
}

/**
 * Puts a saved state into a fresh vCPU.
 *
 * @throws {VmError} when KVM refuses some of it
 */
export function loadVcpu(vcpu: KvmVcpu, kvm: Kvm, state: VcpuStateV1): void {
  try {
    vcpu.setCpuid(kvm.supportedCpuid());
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
