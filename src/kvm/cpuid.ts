/**
 * Reading a struct kvm_cpuid2, the same way from KVM and from a vCPU.
 *
 * @module
 */

import { KVM } from "./constants.ts";
import { unwrap } from "./errors.ts";
import { SIZE } from "./layout.ts";
import { libc } from "./libc.ts";

/** Room for entries; KVM has at most so many (KVM_MAX_CPUID_ENTRIES). */
const MAX_ENTRIES = 256;

/** struct kvm_cpuid2 with its entries, and nothing behind them. */
export function readCpuid(
  fd: number,
  ioctl: "KVM_GET_SUPPORTED_CPUID" | "KVM_GET_CPUID2",
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    SIZE.kvm_cpuid2 + MAX_ENTRIES * SIZE.kvm_cpuid_entry2,
  );
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAX_ENTRIES, true);
  unwrap(ioctl, libc.ioctlBuffer(fd, KVM[ioctl], bytes));
  const count = view.getUint32(0, true);
  return bytes.slice(0, SIZE.kvm_cpuid2 + count * SIZE.kvm_cpuid_entry2);
}
