/**
 * Finding out what `syscall` does at CPL3 on this KVM, by running one.
 *
 * @module
 */

import { type Kvm, KVM_EXIT, KVM_SYNC } from "../kvm/mod.ts";
import { bootVcpu, writeBootPages } from "./boot.ts";
import { BlockAllocator } from "./blocks.ts";
import { VmError } from "./errors.ts";
import {
  BLOCK_BYTES,
  KERNEL_BLOCK,
  PAGE_BYTES,
  SYSCALL_PORT,
} from "./layout.ts";
import { Memory } from "./memory.ts";
import { PageTables, PROT } from "./page_tables.ts";
import { FIRST_FREE_TABLES } from "./boot.ts";

/** What `syscall` does at CPL3: raises privilege, or jumps and stays. */
export type SyscallBehaviour = "raises-to-cpl0" | "stays-at-cpl3";

let found: SyscallBehaviour | undefined;

/**
 * Runs a guest of one `syscall`; once in a process, as the answer stays.
 *
 * @throws {VmError} when it does neither of the two
 */
export function probeSyscall(kvm: Kvm): SyscallBehaviour {
  return found ??= probe(kvm);
}

function probe(kvm: Kvm): SyscallBehaviour {
  using vm = kvm.createVm();
  using memory = new Memory(2 * BLOCK_BYTES);
  memory.attach(vm);
  using vcpu = vm.createVcpu();
  vcpu.setCpuid(kvm.supportedCpuid());
  writeBootPages(memory);
  const blocks = new BlockAllocator(memory.sizeBytes);
  blocks.take(0);
  let table = KERNEL_BLOCK.tables + FIRST_FREE_TABLES * PAGE_BYTES;
  const tables = new PageTables(
    memory,
    () => (table += PAGE_BYTES) - PAGE_BYTES,
  );
  const code = blocks.allocate();
  const va = 0x40_0000;
  tables.mapPage(va, code, PROT.read | PROT.exec);
  memory.write(code, new Uint8Array([0x0f, 0x05])); // syscall
  bootVcpu(vcpu, va, 0);
  vcpu.run.syncValid = KVM_SYNC.REGS | KVM_SYNC.SREGS;
  const result = vcpu.runSync();
  const { run } = vcpu;
  if (
    result !== 0 || run.exitReason !== KVM_EXIT.KVM_EXIT_IO ||
    run.ioPort !== SYSCALL_PORT
  ) {
    throw new VmError(
      "VM_EXIT",
      `Cannot use this KVM: a probe's syscall did not reach its stub (result ${result}, exit ${run.exitReason}, port ${run.ioPort})`,
    );
  }
  return run.syncCsDpl === 0 ? "raises-to-cpl0" : "stays-at-cpl3";
}
