/**
 * mremap: a mapping becomes larger or smaller, or goes elsewhere.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { PAGE_BYTES, USER_END_VA } from "../../vmm/mod.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { isAligned, pages } from "./ranges.ts";

/** Flags of mremap (linux/mman.h). */
const MREMAP = { mayMove: 1, fixed: 2, dontUnmap: 4 } as const;

/** mremap of a shared file: it is mapped anew where it goes. */
function remapShared(linux: Linux, args: Registers, area: Area): number {
  const { space } = linux;
  const va = args.u64(0);
  const oldBytes = pages(args, 1);
  const newBytes = pages(args, 2);
  const flags = args.int(3);
  let to = va;
  if (flags & MREMAP.fixed) to = args.u64(4);
  else if (
    va + newBytes > USER_END_VA ||
    space.areas.overlaps(va + oldBytes, va + newBytes)
  ) {
    if (!(flags & MREMAP.mayMove)) return -ERRNO.ENOMEM;
    to = space.findFree(newBytes);
    if (to < 0) return -ERRNO.ENOMEM;
  }
  const gpa = area.gpa! + (va - area.start);
  const mapping = space.files.find(gpa)!;
  const file = space.files.file(gpa)!;
  const offset = mapping.offset + (gpa - mapping.gpa);
  const result = space.mapShared(to, newBytes, area.prot, { file, offset });
  if (result >= 0 && to !== va) space.unmap(va, oldBytes);
  return result;
}

/** The call that moves mappings. */
export const remapCalls: SyscallTable = {
  mremap(linux, args) {
    const va = args.u64(0);
    const flags = args.int(3);
    const known = MREMAP.mayMove | MREMAP.fixed;
    if (flags & MREMAP.dontUnmap) {
      return linux.unsupported(
        "mremap",
        "MREMAP_DONTUNMAP",
        -ERRNO.EINVAL,
      );
    }
    if (flags & ~known || !isAligned(args, 0)) return -ERRNO.EINVAL;
    if ((flags & MREMAP.fixed) && !(flags & MREMAP.mayMove)) {
      return -ERRNO.EINVAL;
    }
    const oldBytes = pages(args, 1);
    const newBytes = pages(args, 2);
    if (newBytes === 0) return -ERRNO.EINVAL;
    const { space } = linux;
    const area = space.areas.find(va);
    if (!area) return -ERRNO.EFAULT;
    if (!(flags & MREMAP.fixed) && newBytes <= oldBytes) {
      // What goes away may be of many areas, and of none.
      const bytes = Math.min(oldBytes, USER_END_VA - va) - newBytes;
      return bytes > 0 ? space.unmap(va + newBytes, bytes) || va : va;
    }
    if (flags & MREMAP.fixed) {
      const to = args.u64(4);
      if (to % PAGE_BYTES !== 0) return -ERRNO.EINVAL;
      if (to + newBytes > USER_END_VA) return -ERRNO.EINVAL;
      if (to < va + oldBytes && va < to + newBytes) return -ERRNO.EINVAL;
    }
    if (oldBytes === 0) return -ERRNO.EINVAL;
    if (va + oldBytes > area.end) return -ERRNO.EFAULT;
    if (!(newBytes <= USER_END_VA)) return -ERRNO.ENOMEM;
    if (area.kind === "device") return -ERRNO.EINVAL;
    if (area.kind === "shared") return remapShared(linux, args, area);
    if (flags & MREMAP.fixed) {
      return space.move(va, oldBytes, args.u64(4), newBytes);
    }
    const grow = va + oldBytes;
    const by = newBytes - oldBytes;
    if (
      va + oldBytes === area.end && grow + by <= USER_END_VA &&
      !space.areas.overlaps(grow, grow + by)
    ) {
      const result = space.map(grow, by, area.prot, area.kind, area.lazy);
      return result < 0 ? result : va;
    }
    if (!(flags & MREMAP.mayMove)) return -ERRNO.ENOMEM;
    const to = space.findFree(newBytes);
    if (to < 0) return -ERRNO.ENOMEM;
    return space.move(va, oldBytes, to, newBytes);
  },
};

/** What it lacks. */
export const remapPartly = {
  mremap:
    "MREMAP_DONTUNMAP, a second mapping of what is shared (an old size of 0), devices (EINVAL)",
} as const satisfies PartlyTable;
