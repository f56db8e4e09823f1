/**
 * System calls on the protection of memory.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { PROT, USER_END_VA } from "../../vmm/mod.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { PartlyTable, RefusedTable, SyscallTable } from "./mod.ts";
import { isAligned, isBeyond64Bits, pages } from "./ranges.ts";

/** Bits of mprotect(2) beside those of pages (asm-generic/mman-common.h). */
const PROTECTION = {
  growsDown: 0x0100_0000,
  growsUp: 0x0200_0000,
  /** The pages', PROT_SEM, and those above. */
  all: 0x0300_000f,
} as const;

/** pkey_mprotect(2): no key. */
const NO_KEY = -1;

/** PKEY_DISABLE_ACCESS and PKEY_DISABLE_WRITE (asm-generic/mman-common.h). */
const KEY_RIGHTS = 3n;

/** mprotect of all of a stack that a part is given of: from where it begins. */
function protectGrowing(
  linux: Linux,
  va: number,
  length: number,
  prot: number,
): number {
  const { space } = linux;
  const end = Math.min(va + length, USER_END_VA);
  const [area] = space.areas.within(va, end);
  if (!area) return -ERRNO.ENOMEM;
  const isDown = (prot & PROTECTION.growsDown) !== 0;
  if (!isDown || area.kind !== "stack") return -ERRNO.EINVAL;
  return space.protect(area.start, end - area.start, prot & 7);
}

function protect(linux: Linux, args: Registers, key: number): number {
  const va = args.u64(0);
  const prot = args.int(2);
  const both = PROTECTION.growsDown | PROTECTION.growsUp;
  if ((prot & both) === both || !isAligned(args, 0)) return -ERRNO.EINVAL;
  if (args.u64(1) === 0) return 0;
  const length = pages(args, 1);
  if (length === 0 || isBeyond64Bits(args)) return -ERRNO.ENOMEM;
  // It is a long: nothing of it is cut off.
  if (args.big(2) & ~BigInt(PROTECTION.all)) return -ERRNO.EINVAL;
  if (key !== NO_KEY) return -ERRNO.EINVAL;
  if (prot & both) return protectGrowing(linux, va, length, prot);
  const bytes = Math.min(length, USER_END_VA);
  // What a device answers stays as it was mapped.
  if (linux.space.outer.hasDevice(va, bytes)) return -ERRNO.EACCES;
  if (prot & PROT.write && linux.space.outer.isReadOnly(va, bytes)) {
    return -ERRNO.EACCES;
  }
  return linux.space.protect(va, bytes, prot & 7);
}

/**
 * Calls on protection. The vCPU has no protection keys, as most machines have
 * none: what pkeys(7) says of those is what a program is told.
 */
export const protectionCalls: SyscallTable = {
  mprotect(linux, args) {
    return protect(linux, args, NO_KEY);
  },
  pkey_mprotect(linux, args) {
    return protect(linux, args, args.int(3));
  },
  pkey_alloc(_linux, args) {
    if (args.big(0) !== 0n || args.big(1) & ~KEY_RIGHTS) return -ERRNO.EINVAL;
    return -ERRNO.ENOSPC;
  },
  pkey_free() {
    return -ERRNO.EINVAL;
  },
};

/** What they lack. */
export const protectionPartly = {
  mprotect: "mappings of devices (EACCES)",
  pkey_mprotect: "as mprotect; keys (EINVAL)",
} as const satisfies PartlyTable;

/** Those that only ever refuse, and how. */
export const protectionRefused = {
  pkey_alloc: "ENOSPC",
  pkey_free: "EINVAL",
} as const satisfies RefusedTable;
