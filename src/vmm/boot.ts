/**
 * The state a VM boots into: 64-bit mode at CPL3, with no kernel but stubs.
 *
 * A `syscall` lands on a stub of one `out`; each exception lands on a stub of
 * its own, which does one `out` too. The VMM does the rest and puts the user
 * state back itself, so the stubs never return. That is right both on KVMs that
 * raise `syscall` to CPL0 and on those that leave it at CPL3.
 *
 * @module
 */

import { cpuidEntries, type KvmVcpu, type Segment } from "../kvm/mod.ts";
import { VmError } from "./errors.ts";
import {
  EXCEPTION_PORT,
  EXCEPTION_STUB_BYTES,
  EXCEPTION_VECTORS,
  IO_BITMAP_BYTES,
  KERNEL_BLOCK,
  KERNEL_VA,
  PAGE_BYTES,
  SYSCALL_PORT,
  SYSCALL_STUB_VA,
  TSS_BYTES,
} from "./layout.ts";
import type { Memory } from "./memory.ts";
import { PTE, PTE_HIGH_NO_EXECUTE } from "./page_tables.ts";

/** Segment selectors, in the order that `syscall` and `sysret` expect. */
export const SELECTOR = {
  kernelCode: 0x08,
  kernelData: 0x10,
  userCode32: 0x1b,
  userData: 0x23,
  userCode: 0x2b,
  tss: 0x30,
} as const;

/** Model-specific registers set at boot (Intel SDM volume 4, table 2-2). */
const MSR = {
  star: 0xc000_0081,
  lstar: 0xc000_0082,
  syscallMask: 0xc000_0084,
} as const;

/** Control-register bits (Intel SDM volume 3, 2.5 and 2.2.1). */
const CR0 = 0x8005_0033n; // PG AM WP NE ET MP PE
const CR4 = 0x0005_0620n; // OSXSAVE FSGSBASE OSXMMEXCPT OSFXSR PAE
const EFER = 0x0d01n; // NXE LMA LME SCE

/**
 * RFLAGS that `syscall` clears, as Linux has it: all that a program can set and
 * that would disturb whoever runs next.
 */
const SYSCALL_FLAG_MASK = 0x4_7700n;

/** RFLAGS of a program: interrupts on. */
export const USER_RFLAGS = 0x202n;

/** Last byte of the task state segment. */
const TSS_LIMIT = TSS_BYTES + IO_BITMAP_BYTES - 1;

/** A flat 64-bit code segment or a flat data segment. */
function segment(selector: number, type: number): Segment {
  const code = (type & 8) !== 0;
  return {
    base: 0n,
    limit: 0xffff_ffff,
    selector,
    type,
    present: 1,
    dpl: selector & 3,
    db: code ? 0 : 1,
    s: 1,
    l: code ? 1 : 0,
    g: 1,
    avl: 0,
    unusable: 0,
  };
}

/** The code segment of a program. */
export const USER_CS: Segment = segment(SELECTOR.userCode, 11);

/** The stack and data segment of a program. */
export const USER_SS: Segment = segment(SELECTOR.userData, 3);

/** Writes descriptor tables, stubs and the kernel's mappings into memory. */
export function writeBootPages(memory: Memory): void {
  writeDescriptorTables(memory);
  writeStubs(memory);
  mapKernel(memory);
}

function writeDescriptorTables(memory: Memory): void {
  const { view } = memory;
  const tssVa = KERNEL_VA + BigInt(KERNEL_BLOCK.tss);
  // Intel SDM volume 3, 3.4.5 (descriptors) and 8.2.3 (the TSS's).
  const gdt = [
    0n,
    0x00af_9b00_0000_ffffn, // kernel code
    0x00cf_9300_0000_ffffn, // kernel data
    0x00cf_fb00_0000_ffffn, // user code, 32 bit (sysret's base)
    0x00cf_f300_0000_ffffn, // user data
    0x00af_fb00_0000_ffffn, // user code
    0x0000_8900_0000_0000n | BigInt(TSS_LIMIT) | (tssVa & 0xff_ffffn) << 16n |
    (tssVa >> 24n & 0xffn) << 56n,
    tssVa >> 32n,
  ];
  gdt.forEach((entry, i) =>
    view.setBigUint64(KERNEL_BLOCK.gdt + i * 8, entry, true)
  );
  // RSP0, and an I/O permission bitmap that is zero: every `in` and `out` of
  // the program leaves the VM (SDM volume 3, 8.7; volume 1, 19.5.2).
  view.setBigUint64(
    KERNEL_BLOCK.tss + 4,
    KERNEL_VA + BigInt(KERNEL_BLOCK.stackEnd),
    true,
  );
  view.setUint16(KERNEL_BLOCK.tss + 102, TSS_BYTES, true);
  view.setUint8(KERNEL_BLOCK.tss + TSS_BYTES + IO_BITMAP_BYTES - 1, 0xff);
  for (let vector = 0; vector < EXCEPTION_VECTORS; vector++) {
    const handler = KERNEL_VA +
      BigInt(KERNEL_BLOCK.exceptionStubs + vector * EXCEPTION_STUB_BYTES);
    // A 64-bit interrupt gate (SDM volume 3, 6.14.1). `int3` and `into` may be
    // raised by a program itself, the others not.
    const dpl = vector === 3 || vector === 4 ? 3n : 0n;
    const low = (handler & 0xffffn) | BigInt(SELECTOR.kernelCode) << 16n |
      (0x8e00n | dpl << 13n) << 32n | (handler >> 16n & 0xffffn) << 48n;
    view.setBigUint64(KERNEL_BLOCK.idt + vector * 16, low, true);
    view.setBigUint64(KERNEL_BLOCK.idt + vector * 16 + 8, handler >> 32n, true);
  }
}

function writeStubs(memory: Memory): void {
  const out = 0xe6; // out %al, $imm8
  const hlt = 0xf4;
  memory.write(
    KERNEL_BLOCK.syscallStub,
    new Uint8Array([out, SYSCALL_PORT, hlt]),
  );
  for (let vector = 0; vector < EXCEPTION_VECTORS; vector++) {
    memory.write(
      KERNEL_BLOCK.exceptionStubs + vector * EXCEPTION_STUB_BYTES,
      new Uint8Array([out, EXCEPTION_PORT + vector, hlt]),
    );
  }
}

/** Maps the kernel's pages for CPL0, and the `syscall` stub for CPL3. */
function mapKernel(memory: Memory): void {
  let table = KERNEL_BLOCK.tables;
  const next = () => (table += PAGE_BYTES) - PAGE_BYTES;
  const link = (entry: number, gpa: number, low: number, high = 0) => {
    memory.u32[entry] = gpa + low;
    memory.u32[entry + 1] = high;
  };
  const chain = (va: bigint): number => {
    let entry = KERNEL_BLOCK.pml4 / 4;
    for (const shift of [39n, 30n, 21n, 12n]) {
      entry += Number(va >> shift & 511n) * 2;
      if (shift === 12n) break;
      if (!(memory.u32[entry] & PTE.present)) {
        link(entry, next(), PTE.present | PTE.write | PTE.user);
      }
      entry = (memory.u32[entry] & ~0xfff) / 4;
    }
    return entry;
  };
  const supervisor = (gpa: number, low: number, high: number) =>
    link(chain(KERNEL_VA + BigInt(gpa)), gpa, low, high);
  for (const gpa of [KERNEL_BLOCK.gdt, KERNEL_BLOCK.idt]) {
    // Writable: loading a selector sets its "accessed" bit.
    supervisor(gpa, PTE.present | PTE.write, PTE_HIGH_NO_EXECUTE);
  }
  for (
    let g: number = KERNEL_BLOCK.tss;
    g < KERNEL_BLOCK.tssEnd;
    g += PAGE_BYTES
  ) {
    supervisor(g, PTE.present | PTE.write, PTE_HIGH_NO_EXECUTE);
  }
  for (
    let g: number = KERNEL_BLOCK.stack;
    g < KERNEL_BLOCK.stackEnd;
    g += PAGE_BYTES
  ) {
    supervisor(g, PTE.present | PTE.write, PTE_HIGH_NO_EXECUTE);
  }
  supervisor(KERNEL_BLOCK.exceptionStubs, PTE.present, 0);
  link(
    chain(BigInt(SYSCALL_STUB_VA)),
    KERNEL_BLOCK.syscallStub,
    PTE.present | PTE.user,
  );
  memory.markDirty(0, table);
  if (table !== KERNEL_BLOCK.tables + FIRST_FREE_TABLES * PAGE_BYTES) {
    throw new VmError(
      "VM_MEMORY",
      "Cannot boot: FIRST_FREE_TABLES does not match the boot tables",
    );
  }
}

/** How many table pages the boot tables take of `KERNEL_BLOCK.tables`. */
export const FIRST_FREE_TABLES = 6;

/**
 * Parts of the XSAVE area that a program may use, as Linux has them: x87, SSE,
 * AVX and the three of AVX-512 (Intel SDM volume 1, 13.1). After a reset it is
 * x87 alone: `xsave`, with which the dynamic loader keeps a function's arguments
 * while it looks the function up, would lose those in SSE registers.
 */
const XCR0_USER = 0xe7;

/** Lets the program use all of the XSAVE area that its CPUID shows. */
function enableXsave(vcpu: KvmVcpu): void {
  for (const { leaf, subleaf, registers } of cpuidEntries(vcpu.getCpuid())) {
    if (leaf !== 0xd || subleaf !== 0) continue;
    const value = BigInt(registers[0] & XCR0_USER);
    // Some KVMs have it so from the start.
    const isSet = vcpu.getXcrs().some((x) => x.xcr === 0 && x.value === value);
    if (value > 1n && !isSet) vcpu.setXcrs([{ xcr: 0, value }]);
  }
}

/** Puts a fresh vCPU into 64-bit user mode, at `rip` with stack `rsp`. */
export function bootVcpu(vcpu: KvmVcpu, rip: number, rsp: number): void {
  const sregs = vcpu.getSregs();
  const data = USER_SS;
  vcpu.setSregs({
    ...sregs,
    cs: USER_CS,
    ss: data,
    ds: data,
    es: data,
    fs: data,
    gs: data,
    tr: {
      ...segment(SELECTOR.tss, 11),
      base: KERNEL_VA + BigInt(KERNEL_BLOCK.tss),
      limit: TSS_LIMIT,
      s: 0,
      l: 0,
      g: 0,
    },
    gdt: { base: KERNEL_VA + BigInt(KERNEL_BLOCK.gdt), limit: 8 * 8 - 1 },
    idt: {
      base: KERNEL_VA + BigInt(KERNEL_BLOCK.idt),
      limit: EXCEPTION_VECTORS * 16 - 1,
    },
    cr0: CR0,
    cr3: BigInt(KERNEL_BLOCK.pml4),
    cr4: CR4,
    efer: EFER,
  });
  enableXsave(vcpu);
  vcpu.setMsrs([
    {
      index: MSR.star,
      value: BigInt(SELECTOR.userCode32) << 48n |
        BigInt(SELECTOR.kernelCode) << 32n,
    },
    { index: MSR.lstar, value: BigInt(SYSCALL_STUB_VA) },
    { index: MSR.syscallMask, value: SYSCALL_FLAG_MASK },
  ]);
  const zero = vcpu.getRegs();
  for (const name of Object.keys(zero) as (keyof typeof zero)[]) {
    zero[name] = 0n;
  }
  vcpu.setRegs({
    ...zero,
    rip: BigInt(rip),
    rsp: BigInt(rsp),
    rflags: USER_RFLAGS,
  });
}
