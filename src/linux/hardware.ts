/**
 * What a VM owns of the kernel's.
 *
 * @module
 */

import { Kvm, type KVM_CAP, type KvmVcpu, type KvmVm } from "../kvm/mod.ts";
import { Memory, vcpuCpuid } from "../vmm/mod.ts";

/** A VM of KVM's with one vCPU, and memory that is not attached yet. */
export class Hardware implements Disposable {
  private constructor(
    /** KVM itself. */
    readonly kvm: Kvm,
    /** The VM. */
    readonly vm: KvmVm,
    /** Its only vCPU, with all that KVM can give in its CPUID. */
    readonly vcpu: KvmVcpu,
    /** Its memory. */
    readonly memory: Memory,
  ) {}

  /**
   * Makes a VM with so much memory.
   *
   * @throws {KvmError} without KVM, or one that lacks something
   * @throws {VmError} when the size does not fit
   */
  static open(memoryBytes: number): Hardware {
    using owned = new DisposableStack();
    const kvm = owned.use(openKvm());
    const vm = owned.use(kvm.createVm());
    const memory = owned.use(new Memory(memoryBytes));
    const vcpu = owned.use(vm.createVcpu(0));
    vcpu.setCpuid(vcpuCpuid(kvm, vcpu.id));
    owned.move();
    return new Hardware(kvm, vm, vcpu, memory);
  }

  /** Gives everything back. */
  [Symbol.dispose](): void {
    this.vcpu[Symbol.dispose]();
    this.vm[Symbol.dispose]();
    this.memory[Symbol.dispose]();
    this.kvm[Symbol.dispose]();
  }
}

/**
 * Capabilities that running, saving or restoring needs, and what for; a VM that
 * could be run but not saved must not begin.
 */
const REQUIRED: readonly (keyof typeof KVM_CAP)[] = [
  "KVM_CAP_USER_MEMORY", // memory slots
  "KVM_CAP_SYNC_REGS", // registers through the shared page
  "KVM_CAP_IMMEDIATE_EXIT", // kicking a vCPU
  "KVM_CAP_EXT_CPUID", // KVM_SET_CPUID2, KVM_GET_CPUID2
  "KVM_CAP_XSAVE", // KVM_GET_XSAVE, KVM_SET_XSAVE
  "KVM_CAP_XCRS", // KVM_GET_XCRS, KVM_SET_XCRS
  "KVM_CAP_DEBUGREGS", // KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS
  "KVM_CAP_VCPU_EVENTS", // KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS
  "KVM_CAP_MP_STATE", // KVM_GET_MP_STATE, KVM_SET_MP_STATE
  "KVM_CAP_GET_TSC_KHZ", // KVM_GET_TSC_KHZ
];

/** Opens KVM, with what a VM needs of it. */
function openKvm(): Kvm {
  const kvm = Kvm.open();
  try {
    for (const name of REQUIRED) kvm.requireCapability(name);
    return kvm;
  } catch (error) {
    kvm[Symbol.dispose]();
    throw error;
  }
}
