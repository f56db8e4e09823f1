/**
 * What CPUID tells a program.
 *
 * @module
 */

import { CPUID, cpuidEntries, type Kvm } from "../kvm/mod.ts";

/** Leaves with the CPU's x2APIC id in EDX (Intel SDM volume 2, CPUID). */
const TOPOLOGY_LEAVES = [0xb, 0x1f];

/** Leaves with the CPU's name, 16 bytes each (Intel SDM volume 2, CPUID). */
const NAME_LEAVES = [0x8000_0002, 0x8000_0003, 0x8000_0004];
const NAME_BYTES = 16;

let cpuName: Uint8Array | undefined;

/**
 * What the host calls its first CPU (proc_cpuinfo(5)). Read once: some kernels
 * ask every CPU for its speed before they tell.
 */
function hostCpuName(): Uint8Array {
  return cpuName ??= readCpuName();
}

function readCpuName(): Uint8Array {
  using file = Deno.openSync("/proc/cpuinfo");
  const first = new Uint8Array(4096);
  const length = file.readSync(first) ?? 0;
  const info = new TextDecoder().decode(first.subarray(0, length));
  const name = /^model name\s*: (.*)$/m.exec(info)?.[1] ?? "";
  // The last of its bytes stays zero.
  return new TextEncoder().encode(name)
    .subarray(0, NAME_BYTES * NAME_LEAVES.length - 1);
}

/**
 * All that KVM can give a vCPU, with the vCPU's own number where
 * KVM_GET_SUPPORTED_CPUID has that of the CPU it ran on, and the CPU's name,
 * which that leaves out.
 */
export function vcpuCpuid(kvm: Kvm, id: number): Uint8Array {
  const cpuid = kvm.supportedCpuid();
  const view = new DataView(cpuid.buffer, cpuid.byteOffset, cpuid.length);
  const name = hostCpuName();
  for (const { leaf, offset } of cpuidEntries(cpuid)) {
    const part = NAME_LEAVES.indexOf(leaf);
    if (part >= 0) {
      const registers = cpuid.subarray(offset + CPUID.eax)
        .subarray(0, NAME_BYTES)
        .fill(0);
      registers.set(name.subarray(part * NAME_BYTES, (part + 1) * NAME_BYTES));
    }
    // The initial APIC id is the topmost byte of EBX.
    if (leaf === 1) view.setUint8(offset + CPUID.ebx + 3, id);
    if (TOPOLOGY_LEAVES.includes(leaf)) {
      view.setUint32(offset + CPUID.edx, id, true);
    }
  }
  return cpuid;
}
