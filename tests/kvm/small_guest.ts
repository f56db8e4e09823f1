/**
 * A guest of a few instructions at CPL3 in 64-bit mode, with nothing around it:
 * no descriptor tables, no stubs, one identity mapping of 2 MiB pages.
 *
 * @module
 */

import { Kvm, type KvmVcpu, type KvmVm, libc } from "../../src/kvm/mod.ts";

/** How much memory the guest has. */
export const MEMORY_BYTES = 4 * 1024 * 1024;
/** Where its code starts. */
export const CODE = 0x1000;
/** Where its tables are. */
const PML4 = 0x2000;
const PDPT = 0x3000;
const PAGE_DIRECTORY = 0x4000;
/** Where a mapping leads that no memory is behind. */
export const MMIO = 0x40_0000;

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const PRESENT_WRITE_USER_LARGE = 0x87n;

/** A VM with one vCPU, ready to run `code`. */
export class SmallGuest {
  readonly kvm: Kvm;
  readonly vm: KvmVm;
  readonly vcpu: KvmVcpu;
  /** All of its memory, in place. */
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly hostAddress: bigint;

  /**
   * @param code machine code, put at {@linkcode CODE}
   * @param flags of the memory slot
   */
  constructor(code: readonly number[], flags = 0) {
    this.kvm = Kvm.open();
    this.vm = this.kvm.createVm();
    this.hostAddress = BigInt(
      libc.mmap(0, MEMORY_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0),
    );
    // SAFETY: the mapping stays until dispose(), which detaches the buffer.
    this.memory = new Uint8Array(
      Deno.UnsafePointerView.getArrayBuffer(
        Deno.UnsafePointer.create(this.hostAddress)!,
        MEMORY_BYTES,
      ),
    );
    this.vm.setTssAddress(0xfffb_d000);
    this.vm.setUserMemoryRegion({
      slot: 0,
      flags,
      gpa: 0,
      sizeBytes: MEMORY_BYTES,
      hostAddress: this.hostAddress,
    });
    this.vcpu = this.vm.createVcpu(0);
    this.vcpu.setCpuid(this.kvm.supportedCpuid());
    this.#enterUserMode();
    this.memory.set(code, CODE);
  }

  #enterUserMode(): void {
    const view = new DataView(this.memory.buffer);
    view.setBigUint64(PML4, BigInt(PDPT) | 7n, true);
    view.setBigUint64(PDPT, BigInt(PAGE_DIRECTORY) | 7n, true);
    // One page more than there is memory: a window to MMIO.
    for (let i = 0; i <= MEMORY_BYTES / 0x20_0000; i++) {
      view.setBigUint64(
        PAGE_DIRECTORY + i * 8,
        BigInt(i * 0x20_0000) | PRESENT_WRITE_USER_LARGE,
        true,
      );
    }
    const sregs = this.vcpu.getSregs();
    const code = {
      ...sregs.cs,
      base: 0n,
      limit: 0xffff_ffff,
      selector: 0x2b,
      type: 11,
      present: 1,
      dpl: 3,
      db: 0,
      s: 1,
      l: 1,
      g: 1,
    };
    const data = { ...code, selector: 0x23, type: 3, l: 0, db: 1 };
    this.vcpu.setSregs({
      ...sregs,
      cs: code,
      ds: data,
      es: data,
      fs: data,
      gs: data,
      ss: data,
      cr0: 0x8005_0033n,
      cr3: BigInt(PML4),
      cr4: 0x620n,
      efer: 0x501n,
    });
    this.vcpu.setRegs({
      ...this.vcpu.getRegs(),
      rip: BigInt(CODE),
      rsp: 0x8000n,
      // IOPL 3: on hardware `out` at CPL3 exits only with it.
      rflags: 0x3002n,
    });
  }

  /** Releases everything. */
  [Symbol.dispose](): void {
    this.vcpu[Symbol.dispose]();
    this.vm[Symbol.dispose]();
    this.kvm[Symbol.dispose]();
    this.memory.buffer.transfer(0);
    // SAFETY: the mapping is this object's own, and no view reaches it now.
    libc.munmap(this.hostAddress, MEMORY_BYTES);
  }
}

/** Descriptors that this process has open: "number target", sorted. */
export function openDescriptors(): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      found.push(`${name} ${target}`);
    } catch {
      // The one that read the folder.
    }
  }
  return found.sort();
}

/** Mappings of a vCPU's shared page, and of anything else named like `text`. */
export function mappingsOf(text: string): string[] {
  return Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(text));
}
