/**
 * What a program is told of its processor at its start.
 *
 * @module
 */

import { cpuidEntries } from "../kvm/mod.ts";

/**
 * CPUID leaf 1, EDX: what Linux gives programs as AT_HWCAP.
 *
 * @param cpuid a `struct kvm_cpuid2`
 */
export function hwcapOf(cpuid: Uint8Array): number {
  for (const { leaf, registers } of cpuidEntries(cpuid)) {
    if (leaf === 1) return registers[3];
  }
  return 0;
}
