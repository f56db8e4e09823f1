/**
 * A guest of a few instructions at CPL3, made through `./kvm` alone: what
 * bench/c/vmm.h does, ioctl by ioctl.
 *
 * @module
 */

import { Kvm, KVM_EXIT, KVM_SYNC, type KvmVcpu, libc } from "../src/kvm/mod.ts";

/** Ports: something counted, the start of what is timed, its end. */
export const PORT = { count: 0x10, start: 0x11, end: 0x12 } as const;

const MIB = 1024 * 1024;
const BLOCK_BYTES = 2 * MIB;
const CODE = 0x1000;
const PML4 = 0x2000;
const PDPT = 0x3000;
const PAGE_DIRECTORIES = 0x10000;
const TABLE_SPAN_BYTES = 1024 * MIB;

/** From asm-generic/mman-common.h. */
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
const MADV_HUGEPAGE = 14;

/** From asm-generic/errno-base.h. */
const EINTR = 4;
const EAGAIN = 11;

/** A VM with one vCPU, ready to run machine code at CPL3. */
export class RawGuest implements Disposable {
  readonly #owned = new DisposableStack();
  /** Its vCPU. */
  readonly vcpu: KvmVcpu;

  /** @param code what to run @param memoryBytes a multiple of 2 MiB */
  constructor(code: Uint8Array, memoryBytes = 2 * BLOCK_BYTES) {
    const kvm = this.#owned.use(Kvm.open());
    // Before the VM, so that it goes after it.
    const hostAddress = this.#makeMemory(memoryBytes, code);
    const vm = this.#owned.use(kvm.createVm());
    vm.setUserMemoryRegion({
      slot: 0,
      gpa: 0,
      sizeBytes: memoryBytes,
      hostAddress,
    });
    this.vcpu = this.#owned.use(vm.createVcpu(0));
    this.vcpu.setCpuid(kvm.supportedCpuid());
    this.#enterUserMode();
  }

  #makeMemory(memoryBytes: number, code: Uint8Array): bigint {
    const reservedBytes = memoryBytes + BLOCK_BYTES;
    const reserved = Number(libc.mmap(
      0,
      reservedBytes,
      PROT_READ_WRITE,
      MAP_PRIVATE_ANONYMOUS_NORESERVE,
      -1,
      0,
    ));
    if (reserved === -1) throw new Error("Cannot map memory for the guest");
    // SAFETY: the mapping is this object's own; the VM is gone before it.
    this.#owned.defer(() => void libc.munmap(reserved, reservedBytes));
    const address = Math.ceil(reserved / BLOCK_BYTES) * BLOCK_BYTES;
    libc.madvise(address, memoryBytes, MADV_HUGEPAGE);
    // SAFETY: only used below, while the mapping is there.
    const view = new DataView(
      Deno.UnsafePointerView.getArrayBuffer(
        Deno.UnsafePointer.create(BigInt(address))!,
        memoryBytes,
      ),
    );
    // Present, writable, user; in the last level also 2 MiB large.
    view.setUint32(PML4, PDPT | 7, true);
    for (let at = 0; at < memoryBytes; at += BLOCK_BYTES) {
      const directory = Math.floor(at / TABLE_SPAN_BYTES);
      const table = PAGE_DIRECTORIES + directory * 4096;
      view.setUint32(PDPT + directory * 8, table | 7, true);
      const entry = table + (at % TABLE_SPAN_BYTES) / BLOCK_BYTES * 8;
      view.setBigUint64(entry, BigInt(at + 0x87), true);
    }
    new Uint8Array(view.buffer).set(code, CODE);
    return BigInt(address);
  }

  #enterUserMode(): void {
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
    this.vcpu.setMsrs([
      { index: 0xc000_0081, value: 0x1bn << 48n | 0x08n << 32n },
      { index: 0xc000_0082, value: 0x1800n },
      { index: 0xc000_0084, value: 0x700n },
    ]);
    this.vcpu.setRegs({
      ...this.vcpu.getRegs(),
      rip: BigInt(CODE),
      rsp: 0x8000n,
      // IOPL 3: on hardware `out` at CPL3 leaves the VM only with it.
      rflags: 0x3002n,
    });
    this.vcpu.run.syncValid = KVM_SYNC.REGS | KVM_SYNC.SREGS;
  }

  /** Runs to the next `out`; gives its port. */
  run(): number {
    const { vcpu } = this;
    for (;;) {
      const result = vcpu.runSync();
      if (result === 0) break;
      if (result !== -EINTR && result !== -EAGAIN) {
        throw new Error(`KVM_RUN failed with errno ${-result}`);
      }
    }
    if (vcpu.run.exitReason !== KVM_EXIT.KVM_EXIT_IO) {
      throw new Error(`The guest left with reason ${vcpu.run.exitReason}`);
    }
    return vcpu.run.ioPort;
  }

  /** Gives everything back. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}
