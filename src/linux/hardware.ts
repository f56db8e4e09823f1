/**
 * What a VM owns of the kernel's.
 *
 * @module
 */

import { Kvm, type KvmVcpu, type KvmVm } from "../kvm/mod.ts";
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
   * @throws {KvmError} without KVM, or one that lacks something; {VmError} when
   * the size does not fit
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

/** Opens KVM, with what a VM needs of it. */
function openKvm(): Kvm {
  const kvm = Kvm.open();
  try {
    kvm.requireCapability("KVM_CAP_USER_MEMORY");
    kvm.requireCapability("KVM_CAP_SYNC_REGS");
    kvm.requireCapability("KVM_CAP_IMMEDIATE_EXIT");
    kvm.requireCapability("KVM_CAP_XSAVE");
    kvm.requireCapability("KVM_CAP_XCRS");
    return kvm;
  } catch (error) {
    kvm[Symbol.dispose]();
    throw error;
  }
}
