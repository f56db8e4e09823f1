/**
 * System calls on where pages are: in memory, or on the disk.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { PAGE_BYTES } from "../../vmm/mod.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import { pageCeil } from "../space_layout.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { isAligned, isBeyond64Bits, pages } from "./ranges.ts";
import { nextStep } from "./steps.ts";

/** How many pages mincore looks at between two turns of the event loop. */
const MINCORE_STEP_PAGES = 1024 * 1024;

/** The flag of mlock2, and those of mlockall (asm-generic/mman.h). */
const MLOCK_ONFAULT = 1;
const MCL = { onFault: 4, all: 7 } as const;

/** mlock and munlock: whether the pages are there is all that shows. */
function lock(linux: Linux, args: Registers): number {
  const va = args.u64(0);
  const start = va - va % PAGE_BYTES;
  const end = pageCeil(va + args.u64(1));
  if (isBeyond64Bits(args)) return -ERRNO.EINVAL;
  return linux.space.areas.covers(start, end) ? 0 : -ERRNO.ENOMEM;
}

/** Calls on where pages are. */
export const residencyCalls: SyscallTable = {
  msync(linux, args) {
    const va = args.u64(0);
    const flags = args.int(2);
    if (!isAligned(args, 0) || flags & ~7 || (flags & 5) === 5) {
      return -ERRNO.EINVAL;
    }
    const length = pages(args, 1);
    const { space, memory } = linux;
    for (const area of space.areas.within(va, va + length)) {
      if (area.kind !== "shared") continue;
      const start = Math.max(area.start, va);
      const bytes = Math.min(area.end, va + length) - start;
      const gpa = area.gpa! + (start - area.start);
      const result = memory.files.sync(gpa, bytes, flags);
      if (result < 0) return result;
    }
    return space.areas.covers(va, va + length) ? 0 : -ERRNO.ENOMEM;
  },
  mincore(linux, args) {
    const va = args.u64(0);
    if (!isAligned(args, 0)) return -ERRNO.EINVAL;
    if (!linux.user.inRange(va, args.u64(1))) return -ERRNO.ENOMEM;
    const length = pages(args, 1);
    if (!linux.user.inRange(args.u64(2), length / PAGE_BYTES)) {
      return -ERRNO.EFAULT;
    }
    if (!linux.space.areas.covers(va, va + length)) return -ERRNO.ENOMEM;
    // Some at a time: most of a large range has no memory.
    const some = new Uint8Array(4096);
    const first = linux.resumed?.doneBytes ?? 0;
    for (let page = first; page < length / PAGE_BYTES; page += some.length) {
      if (page - first >= MINCORE_STEP_PAGES) return nextStep(linux, page);
      const count = Math.min(some.length, length / PAGE_BYTES - page);
      linux.space.resident(va + page * PAGE_BYTES, some.subarray(0, count));
      if (!linux.user.write(args.u64(2) + page, some, count)) {
        return -ERRNO.EFAULT;
      }
    }
    return 0;
  },
  // Nothing of a guest's memory is ever swapped by the VM.
  mlock: lock,
  munlock: lock,
  mlock2(linux, args) {
    return args.int(2) & ~MLOCK_ONFAULT ? -ERRNO.EINVAL : lock(linux, args);
  },
  mlockall(_linux, args) {
    const flags = args.int(0);
    const isKnown = (flags & ~MCL.all) === 0;
    return isKnown && (flags & ~MCL.onFault) !== 0 ? 0 : -ERRNO.EINVAL;
  },
  munlockall: () => 0,
};

/** What they lack. */
export const residencyPartly = {
  mlock: "the host may swap it all the same",
  munlock: "as mlock",
  mlock2: "as mlock",
  mlockall: "as mlock",
  munlockall: "as mlock",
} as const satisfies PartlyTable;
