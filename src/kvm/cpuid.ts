/**
 * struct kvm_cpuid2: what CPUID answers, from KVM or from a vCPU.
 *
 * @module
 */

import { KVM } from "./constants.ts";
import { unwrap } from "./errors.ts";
import { CPUID, SIZE } from "./layout.ts";
import { libc } from "./libc.ts";

/** Room for entries; KVM has at most so many (KVM_MAX_CPUID_ENTRIES). */
const MAX_ENTRIES = 256;

/** struct kvm_cpuid2 with its entries, and nothing behind them. */
export function getCpuid(
  fd: number,
  ioctl: "KVM_GET_SUPPORTED_CPUID" | "KVM_GET_CPUID2",
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    SIZE.kvm_cpuid2 + MAX_ENTRIES * SIZE.kvm_cpuid_entry2,
  );
  const view = new DataView(bytes.buffer);
  view.setUint32(CPUID.nent, MAX_ENTRIES, true);
  unwrap(ioctl, libc.ioctlBuffer(fd, KVM[ioctl], bytes));
  const words = new Uint32Array(bytes.buffer);
  const entryWords = SIZE.kvm_cpuid_entry2 / 4;
  let end = (SIZE.kvm_cpuid2 +
    view.getUint32(CPUID.nent, true) * SIZE.kvm_cpuid_entry2) / 4;
  // Up to Linux 6.2, KVM_GET_CPUID2 leaves the count as it was given: what it
  // did not write is zero, and no entry is (leaf 0 names the highest leaf).
  while (
    end > SIZE.kvm_cpuid2 / 4 &&
    words.subarray(end - entryWords, end).every((word) => word === 0)
  ) {
    end -= entryWords;
  }
  const count = (end * 4 - SIZE.kvm_cpuid2) / SIZE.kvm_cpuid_entry2;
  view.setUint32(CPUID.nent, count, true);
  return bytes.slice(0, end * 4);
}

/** What one leaf of CPUID answers. */
export interface CpuidEntry {
  /** The leaf: EAX when CPUID is executed. */
  readonly leaf: number;
  /** The subleaf: ECX, where the leaf has subleaves. */
  readonly subleaf: number;
  /** EAX, EBX, ECX and EDX of the answer, unsigned. */
  readonly registers: readonly [number, number, number, number];
  /** Where the entry is in the structure, bytes. */
  readonly offset: number;
}

/**
 * The entries of a struct kvm_cpuid2: as many as are there whole, whatever the
 * count in it says.
 *
 * @param bytes the structure with its entries
 */
export function* cpuidEntries(bytes: Uint8Array): Generator<CpuidEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = SIZE.kvm_cpuid_entry2;
  for (
    let offset: number = SIZE.kvm_cpuid2;
    offset + size <= bytes.length;
    offset += size
  ) {
    const word = (at: number) => view.getUint32(offset + at, true);
    yield {
      leaf: word(CPUID.function),
      subleaf: word(CPUID.index),
      registers: [
        word(CPUID.eax),
        word(CPUID.ebx),
        word(CPUID.ecx),
        word(CPUID.edx),
      ],
      offset,
    };
  }
}
