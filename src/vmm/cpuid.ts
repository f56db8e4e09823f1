/**
 * What CPUID tells a program.
 *
 * @module
 */

import { CPUID, cpuidEntries, type Kvm } from "../kvm/mod.ts";

/** Leaves with the CPU's x2APIC id in EDX (Intel SDM volume 2, CPUID). */
const TOPOLOGY_LEAVES = [0xb, 0x1f];

/**
 * All that KVM can give a vCPU, with the vCPU's own number where
 * KVM_GET_SUPPORTED_CPUID has that of the CPU it ran on.
 */
export function vcpuCpuid(kvm: Kvm, id: number): Uint8Array {
  const cpuid = kvm.supportedCpuid();
  const view = new DataView(cpuid.buffer, cpuid.byteOffset, cpuid.length);
  for (const { leaf, offset } of cpuidEntries(cpuid)) {
    // The initial APIC id is the topmost byte of EBX.
    if (leaf === 1) view.setUint8(offset + CPUID.ebx + 3, id);
    if (TOPOLOGY_LEAVES.includes(leaf)) {
      view.setUint32(offset + CPUID.edx, id, true);
    }
  }
  return cpuid;
}
