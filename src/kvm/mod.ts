/**
 * Linux KVM through `Deno.dlopen`: the system, VMs and vCPUs as objects, with
 * the kernel's names.
 *
 * @example Run a guest of three instructions
 * ```ts ignore
 * import { decodeExit, Kvm, libc } from "@scratchvm/scratchvm/kvm";
 *
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 *
 * // A page of memory (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS).
 * const address = BigInt(libc.mmap(0, 4096, 3, 0x22, -1, 0));
 * const page = new Uint8Array(
 *   Deno.UnsafePointerView.getArrayBuffer(
 *     Deno.UnsafePointer.create(address)!,
 *     4096,
 *   ),
 * );
 * page.set([
 *   ...[0xb0, 0x2a], // mov $42, %al
 *   ...[0xe6, 0x10], // out %al, $16
 *   0xf4, // hlt
 * ]);
 * vm.setUserMemoryRegion({
 *   slot: 0,
 *   gpa: 0x1000,
 *   sizeBytes: 4096,
 *   hostAddress: address,
 * });
 *
 * // A vCPU begins in real mode; point it at the page.
 * using vcpu = vm.createVcpu();
 * const { cs, ...sregs } = vcpu.getSregs();
 * vcpu.setSregs({ ...sregs, cs: { ...cs, base: 0n, selector: 0 } });
 * vcpu.setRegs({ ...vcpu.getRegs(), rip: 0x1000n, rflags: 2n });
 * vcpu.runSync();
 * console.log(decodeExit(vcpu.run)); // the `out`: port 16
 * ```
 *
 * @module
 */

export { KVM, KVM_CAP, KVM_EXIT, KVM_MEM, KVM_SYNC } from "./constants.ts";
export { cpuidEntries, type CpuidEntry } from "./cpuid.ts";
export { ERRNO, errnoName } from "./errno.ts";
export { KvmError, type KvmErrorCode, unwrap } from "./errors.ts";
export { decodeExit, type Exit } from "./exit.ts";
export {
  CPUID,
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
  readRegs,
  type Regs,
  type Segment,
  type Sregs,
  type VcpuEvents,
  writeRegs,
  type Xcr,
} from "./structs.ts";
export { Kvm } from "./system.ts";
export { KvmVcpu } from "./vcpu.ts";
export { KvmVm, type MemoryRegion } from "./vm.ts";
