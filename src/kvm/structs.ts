/**
 * The kernel's structures as objects, and back.
 *
 * @module
 */

import {
  DEBUGREGS,
  EVENTS,
  type RegName,
  REGS,
  SEGMENT,
  SIZE,
  SREGS,
  XCRS,
} from "./layout.ts";

/** struct kvm_regs. */
export type Regs = Record<RegName, bigint>;

/** struct kvm_segment. */
export interface Segment {
  /** First address. */
  readonly base: bigint;
  /** Last offset, bytes. */
  readonly limit: number;
  /** What the program sees in the register. */
  readonly selector: number;
  /** Type bits of the descriptor. */
  readonly type: number;
  /** Present bit. */
  readonly present: number;
  /** Privilege level. */
  readonly dpl: number;
  /** Default operand size. */
  readonly db: number;
  /** Set for code and data, clear for system segments. */
  readonly s: number;
  /** 64-bit code. */
  readonly l: number;
  /** The limit counts pages. */
  readonly g: number;
  /** Available to software. */
  readonly avl: number;
  /** The register holds no segment. */
  readonly unusable: number;
}

/** struct kvm_dtable. */
export interface DescriptorTable {
  /** First address. */
  readonly base: bigint;
  /** Last offset, bytes. */
  readonly limit: number;
}

const SEGMENT_NAMES = [
  "cs",
  "ds",
  "es",
  "fs",
  "gs",
  "ss",
  "tr",
  "ldt",
] as const;
const TABLE_NAMES = ["gdt", "idt"] as const;
const WORD_NAMES = [
  "cr0",
  "cr2",
  "cr3",
  "cr4",
  "cr8",
  "efer",
  "apic_base",
] as const;

/** struct kvm_sregs. */
export type Sregs =
  & Record<"cs" | "ds" | "es" | "fs" | "gs" | "ss" | "tr" | "ldt", Segment>
  & Record<"gdt" | "idt", DescriptorTable>
  & Record<
    "cr0" | "cr2" | "cr3" | "cr4" | "cr8" | "efer" | "apic_base",
    bigint
  >
  & {
    /** The interrupt waiting to be injected, a bit a vector. */
    readonly interrupt_bitmap: readonly bigint[];
  };

/** struct kvm_msr_entry. */
export interface MsrEntry {
  /** Which register. */
  readonly index: number;
  /** What it holds. */
  readonly value: bigint;
}

/** struct kvm_xcr. */
export interface Xcr {
  /** Which register. */
  readonly xcr: number;
  /** What it holds. */
  readonly value: bigint;
}

/** struct kvm_debugregs. */
export interface DebugRegs {
  /** DR0 to DR3. */
  readonly db: readonly bigint[];
  /** DR6. */
  readonly dr6: bigint;
  /** DR7. */
  readonly dr7: bigint;
  /** Always 0 so far. */
  readonly flags: bigint;
}

/** struct kvm_vcpu_events. */
export type VcpuEvents = Record<keyof typeof EVENTS, number | bigint>;

/** Reads struct kvm_regs. */
export function readRegs(view: DataView): Regs {
  return Object.fromEntries(
    REGS.map((name, i) => [name, view.getBigUint64(i * 8, true)]),
  ) as Regs;
}

/** Writes struct kvm_regs. */
export function writeRegs(view: DataView, regs: Regs): void {
  REGS.forEach((name, i) => view.setBigUint64(i * 8, regs[name], true));
}

/** Reads struct kvm_segment at `at`. */
export function readSegment(view: DataView, at: number): Segment {
  return {
    base: view.getBigUint64(at + SEGMENT.base, true),
    limit: view.getUint32(at + SEGMENT.limit, true),
    selector: view.getUint16(at + SEGMENT.selector, true),
    type: view.getUint8(at + SEGMENT.type),
    present: view.getUint8(at + SEGMENT.present),
    dpl: view.getUint8(at + SEGMENT.dpl),
    db: view.getUint8(at + SEGMENT.db),
    s: view.getUint8(at + SEGMENT.s),
    l: view.getUint8(at + SEGMENT.l),
    g: view.getUint8(at + SEGMENT.g),
    avl: view.getUint8(at + SEGMENT.avl),
    unusable: view.getUint8(at + SEGMENT.unusable),
  };
}

/** Writes struct kvm_segment at `at`. */
export function writeSegment(
  view: DataView,
  at: number,
  segment: Segment,
): void {
  view.setBigUint64(at + SEGMENT.base, segment.base, true);
  view.setUint32(at + SEGMENT.limit, segment.limit, true);
  view.setUint16(at + SEGMENT.selector, segment.selector, true);
  view.setUint8(at + SEGMENT.type, segment.type);
  view.setUint8(at + SEGMENT.present, segment.present);
  view.setUint8(at + SEGMENT.dpl, segment.dpl);
  view.setUint8(at + SEGMENT.db, segment.db);
  view.setUint8(at + SEGMENT.s, segment.s);
  view.setUint8(at + SEGMENT.l, segment.l);
  view.setUint8(at + SEGMENT.g, segment.g);
  view.setUint8(at + SEGMENT.avl, segment.avl);
  view.setUint8(at + SEGMENT.unusable, segment.unusable);
}

/** Reads struct kvm_sregs. */
export function readSregs(view: DataView): Sregs {
  const bitmap = SREGS.interrupt_bitmap;
  return Object.fromEntries([
    ...SEGMENT_NAMES.map((name) => [name, readSegment(view, SREGS[name])]),
    ...TABLE_NAMES.map((name) => [name, {
      base: view.getBigUint64(SREGS[name], true),
      limit: view.getUint16(SREGS[name] + 8, true),
    }]),
    ...WORD_NAMES.map((name) => [name, view.getBigUint64(SREGS[name], true)]),
    [
      "interrupt_bitmap",
      [0, 1, 2, 3].map((i) => view.getBigUint64(bitmap + i * 8, true)),
    ],
  ]) as Sregs;
}

/** Writes struct kvm_sregs. */
export function writeSregs(view: DataView, sregs: Sregs): void {
  for (const name of SEGMENT_NAMES) {
    writeSegment(view, SREGS[name], sregs[name]);
  }
  for (const name of TABLE_NAMES) {
    view.setBigUint64(SREGS[name], sregs[name].base, true);
    view.setUint16(SREGS[name] + 8, sregs[name].limit, true);
  }
  for (const name of WORD_NAMES) {
    view.setBigUint64(SREGS[name], sregs[name], true);
  }
  sregs.interrupt_bitmap.forEach((word, i) =>
    view.setBigUint64(SREGS.interrupt_bitmap + i * 8, word, true)
  );
}

/** Reads struct kvm_debugregs. */
export function readDebugRegs(view: DataView): DebugRegs {
  return {
    db: [0, 1, 2, 3].map((i) => view.getBigUint64(DEBUGREGS.db + i * 8, true)),
    dr6: view.getBigUint64(DEBUGREGS.dr6, true),
    dr7: view.getBigUint64(DEBUGREGS.dr7, true),
    flags: view.getBigUint64(DEBUGREGS.flags, true),
  };
}

/** Writes struct kvm_debugregs. */
export function writeDebugRegs(view: DataView, regs: DebugRegs): void {
  regs.db.forEach((value, i) =>
    view.setBigUint64(DEBUGREGS.db + i * 8, value, true)
  );
  view.setBigUint64(DEBUGREGS.dr6, regs.dr6, true);
  view.setBigUint64(DEBUGREGS.dr7, regs.dr7, true);
  view.setBigUint64(DEBUGREGS.flags, regs.flags, true);
}

/** Reads struct kvm_vcpu_events. */
export function readEvents(view: DataView): VcpuEvents {
  return Object.fromEntries(
    Object.entries(EVENTS).map(([name, [at, bits]]) => [
      name,
      bits === 8
        ? view.getUint8(at)
        : bits === 32
        ? view.getUint32(at, true)
        : view.getBigUint64(at, true),
    ]),
  ) as VcpuEvents;
}

/** Writes struct kvm_vcpu_events. */
export function writeEvents(view: DataView, events: VcpuEvents): void {
  for (const [name, [at, bits]] of Object.entries(EVENTS)) {
    const value = events[name as keyof VcpuEvents];
    if (bits === 8) view.setUint8(at, Number(value));
    else if (bits === 32) view.setUint32(at, Number(value), true);
    else view.setBigUint64(at, BigInt(value), true);
  }
}

/** Reads struct kvm_xcrs. */
export function readXcrs(view: DataView): Xcr[] {
  const count = Math.min(view.getUint32(XCRS.nr_xcrs, true), 16);
  return Array.from({ length: count }, (_, i) => {
    const at = XCRS.xcrs + i * SIZE.kvm_xcr;
    return {
      xcr: view.getUint32(at + XCRS.xcr, true),
      value: view.getBigUint64(at + XCRS.value, true),
    };
  });
}

/** Writes struct kvm_xcrs; at most 16. */
export function writeXcrs(view: DataView, xcrs: readonly Xcr[]): void {
  view.setUint32(XCRS.nr_xcrs, xcrs.length, true);
  xcrs.forEach(({ xcr, value }, i) => {
    const at = XCRS.xcrs + i * SIZE.kvm_xcr;
    view.setUint32(at + XCRS.xcr, xcr, true);
    view.setBigUint64(at + XCRS.value, value, true);
  });
}
