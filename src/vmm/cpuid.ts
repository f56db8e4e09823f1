/**
 * What CPUID tells a program.
 *
 * @module
 */

import { type Kvm, SIZE } from "../kvm/mod.ts";

/** Where fields of struct kvm_cpuid_entry2 are (asm/kvm.h). */
const ENTRY = { leaf: 0, ebx: 16, edx: 24 } as const;

/** Leaves with the CPU's x2APIC id in EDX (Intel SDM volume 2, CPUID). */
const TOPOLOGY_LEAVES = [0xb, 0x1f];

/**
 * All that KVM can give a vCPU, with the vCPU's own number where
 * KVM_GET_SUPPORTED_CPUID has that of the CPU it ran on.
 */
export function vcpuCpuid(kvm: Kvm, id: number): Uint8Array {
  const cpuid = kvm.supportedCpuid();
  const view = new DataView(cpuid.buffer, cpuid.byteOffset, cpuid.length);
  for (
    let at: number = SIZE.kvm_cpuid2;
    at < cpuid.length;
    at += SIZE.kvm_cpuid_entry2
  ) {
    const leaf = view.getUint32(at + ENTRY.leaf, true);
    if (leaf === 1) view.setUint8(at + ENTRY.ebx + 3, id);
    if (TOPOLOGY_LEAVES.includes(leaf)) {
      view.setUint32(at + ENTRY.edx, id, true);
    }
  }
  return cpuid;
}
