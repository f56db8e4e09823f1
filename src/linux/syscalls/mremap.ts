/**
 * mremap: a mapping becomes larger or smaller, or goes elsewhere.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { PAGE_BYTES, USER_END_VA } from "../../vmm/mod.ts";
import { type Area, type AreaKind, commits, followsIn } from "../areas.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import { LOWEST_VA } from "../space_layout.ts";
import { mapFile, openSource } from "./file_pages.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { isAligned, pages } from "./ranges.ts";

/** Flags of mremap (linux/mman.h). */
const MREMAP = { mayMove: 1, fixed: 2, dontUnmap: 4 } as const;

/** Areas whose pages are copies of a file's. */
const FILE_KINDS: ReadonlySet<AreaKind> = new Set([
  "program",
  "file",
  "beyond",
]);

/** What is asked for: which pages, how many they become, and where. */
interface Remap {
  readonly va: number;
  readonly oldBytes: number;
  readonly newBytes: number;
  readonly to: number;
}

/**
 * First address behind the mapping that an area is of: where that is longer than
 * its file, what is beyond the file's end is an area of its own.
 */
function endOf({ space }: Linux, area: Area): number {
  let last = area;
  for (;;) {
    const next = space.areas.find(last.end);
    const goesOn = next && next.prot === last.prot &&
      FILE_KINDS.has(last.kind) && FILE_KINDS.has(next.kind) &&
      followsIn(last, next);
    if (!goesOn) return last.end;
    last = next;
  }
}

/** Where a mapping goes, which is where it is if it can; or a negative errno. */
function placeOf({ space }: Linux, args: Registers): number {
  const va = args.u64(0);
  const newBytes = pages(args, 2);
  const flags = args.int(3);
  if (flags & MREMAP.fixed) {
    const to = args.u64(4);
    return to < LOWEST_VA ? -ERRNO.EPERM : to;
  }
  const end = va + newBytes;
  const isFree = end <= USER_END_VA &&
    !space.areas.overlaps(va + pages(args, 1), end);
  if (isFree) return va;
  if (!(flags & MREMAP.mayMove)) return -ERRNO.ENOMEM;
  const to = space.findFree(newBytes);
  return to < 0 ? -ERRNO.ENOMEM : to;
}

/** mremap of a shared file: it is mapped anew where it goes. */
function remapShared(linux: Linux, area: Area, remap: Remap): number {
  const { va, oldBytes, newBytes, to } = remap;
  const { space } = linux;
  if (to !== va && !space.mayMove()) return -ERRNO.ENOMEM;
  const gpa = area.gpa! + (va - area.start);
  const mapping = space.files.find(gpa)!;
  const file = space.files.file(gpa)!;
  const offset = mapping.offset + (gpa - mapping.gpa);
  const result = space.mapShared(to, newBytes, area.prot, { file, offset });
  if (result >= 0 && to !== va) space.unmap(va, oldBytes);
  return result;
}

/** Maps what a mapping of a file grows by, as its file has it now. */
function mapTail(linux: Linux, area: Area, remap: Remap): number {
  const { va, oldBytes, newBytes, to } = remap;
  const file = openSource(linux, area);
  if (!file) {
    return linux.unsupported(
      "mremap",
      "more pages of a file that is gone",
      -ERRNO.ENOMEM,
    );
  }
  try {
    const offset = area.source!.offset + (va - area.start) + oldBytes;
    const bytes = newBytes - oldBytes;
    // As mmap: what may be saved of any page can be restored.
    if (offset + bytes > Number.MAX_SAFE_INTEGER) return -ERRNO.EINVAL;
    const lazy = area.kind !== "beyond" && area.lazy === true;
    const { prot } = area;
    return mapFile(linux, file, offset, {
      va: to + oldBytes,
      bytes,
      prot,
      lazy,
    });
  } finally {
    file.close();
  }
}

/** mremap of copies of a file's pages: its areas go one by one. */
function remapFile(linux: Linux, area: Area, remap: Remap): number {
  const { va, oldBytes, newBytes, to } = remap;
  const { space } = linux;
  const end = va + Math.min(oldBytes, newBytes);
  const areas = space.areas.within(va, end);
  const parts = areas.map((part) => ({
    start: Math.max(part.start, va),
    end: Math.min(part.end, end),
  }));
  // What it grows by are two more, the file's and what is beyond.
  if (!space.mayMove(parts.length + 2)) return -ERRNO.ENOMEM;
  const growth = newBytes - oldBytes;
  if (growth > 0) {
    // What is mapped in place of others stays only if the rest can follow.
    const first = [to, to + parts[0].end - va] as const;
    const tail = [to + oldBytes, to + newBytes] as const;
    const mayFail = to !== va && areas.some(commits);
    if (mayFail && !space.hasRoom(0, first, tail)) return -ERRNO.ENOMEM;
    const result = mapTail(linux, area, remap);
    if (result < 0) return result;
  }
  if (to === va) return va;
  for (const part of parts) {
    const bytes = part.end - part.start;
    const into = to + (part.start - va);
    const result = space.move(part.start, bytes, into, bytes);
    if (result >= 0) continue;
    // The first is refused, if any: others need no more memory than it did.
    if (growth > 0) space.unmap(to + oldBytes, growth);
    return result;
  }
  if (growth < 0) space.unmap(end, -growth);
  return to;
}

/** The call that moves mappings. */
export const remapCalls: SyscallTable = {
  mremap(linux, args) {
    const va = args.u64(0);
    const flags = args.int(3);
    const known = MREMAP.mayMove | MREMAP.fixed;
    if (flags & MREMAP.dontUnmap) {
      return linux.unsupported("mremap", "MREMAP_DONTUNMAP", -ERRNO.EINVAL);
    }
    if (args.big(3) & ~BigInt(known)) return -ERRNO.EINVAL;
    if (!isAligned(args, 0)) return -ERRNO.EINVAL;
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
      if (oldBytes === newBytes) return va;
      if (va + oldBytes > USER_END_VA) return -ERRNO.EINVAL;
      return space.unmap(va + newBytes, oldBytes - newBytes) || va;
    }
    if (flags & MREMAP.fixed) {
      const to = args.u64(4);
      if (to % PAGE_BYTES !== 0) return -ERRNO.EINVAL;
      if (to + newBytes > USER_END_VA) return -ERRNO.EINVAL;
      if (to < va + oldBytes && va < to + newBytes) return -ERRNO.EINVAL;
    }
    if (oldBytes === 0) return -ERRNO.EINVAL;
    if (va + oldBytes > endOf(linux, area)) return -ERRNO.EFAULT;
    if (!(newBytes <= USER_END_VA)) return -ERRNO.ENOMEM;
    if (area.kind === "device") return -ERRNO.EINVAL;
    const to = placeOf(linux, args);
    if (to < 0) return to;
    const remap = { va, oldBytes, newBytes, to };
    if (area.kind === "shared") return remapShared(linux, area, remap);
    if (FILE_KINDS.has(area.kind)) return remapFile(linux, area, remap);
    if (to !== va) return space.move(va, oldBytes, to, newBytes);
    const { prot, kind, lazy } = area;
    const by = newBytes - oldBytes;
    const result = space.map(va + oldBytes, by, prot, kind, lazy);
    return result < 0 ? result : va;
  },
};

/** What it lacks. */
export const remapPartly = {
  mremap:
    "MREMAP_DONTUNMAP, a second mapping of what is shared (an old size of 0), devices (EINVAL); more pages of a file that is gone (ENOMEM)",
} as const satisfies PartlyTable;
