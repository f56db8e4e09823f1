/**
 * Linux KVM through `Deno.dlopen`: the system, VMs and vCPUs as objects, with
 * the kernel's names.
 *
 * @example Run a guest of three instructions
 * ```ts no-run
 * import { decodeExit, Kvm } from "@scratchvm/scratchvm/kvm";
 *
 * using kvm = Kvm.open();
 * console.log(kvm.msrIndexList().length, "MSRs");
 * using vm = kvm.createVm();
 * using vcpu = vm.createVcpu();
 * vcpu.runSync();
 * console.log(decodeExit(vcpu.run));
 * ```
 *
 * @module
 */

export { KVM, KVM_CAP, KVM_EXIT, KVM_MEM, KVM_SYNC } from "./constants.ts";
export { ERRNO, errnoName } from "./errno.ts";
export { KvmError, type KvmErrorCode, unwrap } from "./errors.ts";
export { decodeExit, type Exit } from "./exit.ts";
export {
  EVENTS,
  REG,
  type RegName,
  REGS,
  RUN,
  SEGMENT,
  SIZE,
  SREGS,
} from "./layout.ts";
export { errno, libc, LIBC_SYMBOLS, type TakingNumbers } from "./libc.ts";
export { KvmRun } from "./run.ts";
export {
  type DebugRegs,
  type DescriptorTable,
  type MsrEntry,
  type Regs,
  type Segment,
  type Sregs,
  type VcpuEvents,
  type Xcr,
} from "./structs.ts";
export { Kvm } from "./system.ts";
export { KvmVcpu } from "./vcpu.ts";
export { KvmVm, type MemoryRegion } from "./vm.ts";
