/**
 * madvise: what a program says of its memory, and what that does to it.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { fallocate } from "../../devices/mod.ts";
import { PAGE_BYTES, PROT, USER_END_VA } from "../../vmm/mod.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";
import { openSource, readAgain } from "./file_pages.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { isAligned, isBeyond64Bits, pages } from "./ranges.ts";

/** Advice that changes nothing a program can see (madvise(2)). */
const HARMLESS_ADVICE = new Set([
  0, // MADV_NORMAL
  1, // MADV_RANDOM
  2, // MADV_SEQUENTIAL
  3, // MADV_WILLNEED
  8, // MADV_FREE: may be done later, or never
  10, // MADV_DONTFORK
  11, // MADV_DOFORK
  12, // MADV_MERGEABLE
  13, // MADV_UNMERGEABLE
  14, // MADV_HUGEPAGE
  15, // MADV_NOHUGEPAGE
  16, // MADV_DONTDUMP
  17, // MADV_DODUMP
  18, // MADV_WIPEONFORK: no process is ever forked
  19, // MADV_KEEPONFORK
  20, // MADV_COLD
  21, // MADV_PAGEOUT
  25, // MADV_COLLAPSE
]);
const MADV_DONTNEED = 4;
const MADV_FREE = 8;
const MADV_WIPEONFORK = 18;
const MADV_REMOVE = 9;
const MADV_POPULATE_READ = 22;
const MADV_POPULATE_WRITE = 23;
const MADV_DONTNEED_LOCKED = 24;

/** Areas that are of a file, or of a device. */
const FILE_KINDS: ReadonlySet<string> = new Set([
  "program",
  "file",
  "beyond",
  "shared",
  "device",
]);

/** FALLOC_FL_PUNCH_HOLE, and FALLOC_FL_KEEP_SIZE with it (linux/falloc.h). */
const PUNCH_HOLE = 3;

/** MADV_POPULATE_*: up to the first page that cannot be used so. */
function populate(
  linux: Linux,
  va: number,
  length: number,
  access: number,
): number {
  const { areas } = linux.space;
  const end = va + length;
  const write = access === PROT.write;
  for (let at = va; at < end;) {
    const area = areas.find(at);
    if (!area) return -ERRNO.ENOMEM;
    const isAllowed = write ? area.prot & PROT.write : area.prot !== PROT.none;
    if (!isAllowed) return -ERRNO.EINVAL;
    if (area.kind === "beyond") return -ERRNO.EFAULT;
    const last = Math.min(area.end, end);
    // A file's pages are there; how many it may be has no limit.
    for (; at < last && area.kind !== "shared"; at += PAGE_BYTES) {
      if (linux.user.translate(at, write) < 0) return -ERRNO.EINVAL;
    }
    at = last;
  }
  return 0;
}

/** MADV_REMOVE: a shared file holds zeros there from now on, and is as long. */
function remove(linux: Linux, va: number, length: number): number {
  const { areas, files } = linux.space;
  for (const area of areas.within(va, va + length)) {
    if (area.kind === "file") return -ERRNO.EACCES;
    if (area.kind !== "shared") return -ERRNO.EINVAL;
    const start = Math.max(area.start, va);
    const bytes = Math.min(area.end, va + length) - start;
    const gpa = area.gpa! + (start - area.start);
    const mapping = files.find(gpa)!;
    if (!mapping.isWritable) return -ERRNO.EACCES;
    const { hostFd } = files.file(gpa)!;
    const offset = mapping.offset + (gpa - mapping.gpa);
    const result = fallocate(hostFd!, PUNCH_HOLE, offset, bytes);
    if (result < 0) return result;
  }
  return 0;
}

/** The call that takes advice. */
export const adviceCalls: SyscallTable = {
  madvise(linux, args) {
    const va = args.u64(0);
    if (!isAligned(args, 0)) return -ERRNO.EINVAL;
    let advice = args.int(2);
    // Nothing is locked but by name.
    if (advice === MADV_DONTNEED_LOCKED) advice = MADV_DONTNEED;
    const known = HARMLESS_ADVICE.has(advice) || advice === MADV_DONTNEED ||
      advice === MADV_REMOVE ||
      advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE;
    const asked = pages(args, 1);
    if (!known || asked === 0 && args.u64(1) !== 0) return -ERRNO.EINVAL;
    if (isBeyond64Bits(args)) return -ERRNO.EINVAL;
    if (asked === 0) return 0;
    // What is beyond the program's addresses has no memory.
    const length = Math.min(asked, Math.max(USER_END_VA - va, 0));
    if (length === 0) return -ERRNO.ENOMEM;
    const isCut = length < asked;
    const { space } = linux;
    if (advice === MADV_FREE || advice === MADV_WIPEONFORK) {
      const isAnonymous = ({ kind }: Area) => !FILE_KINDS.has(kind);
      if (!space.areas.within(va, va + length).every(isAnonymous)) {
        return -ERRNO.EINVAL;
      }
    }
    if (advice === MADV_DONTNEED) {
      if (space.outer.hasDevice(va, length)) return -ERRNO.EINVAL;
      const areas = space.areas.within(va, va + length);
      const isFrom = areas.filter(({ kind }) =>
        kind === "file" || kind === "program"
      );
      for (const area of isFrom) {
        const file = openSource(linux, area);
        if (file) file.close();
        else {
          return linux.unsupported(
            "madvise",
            "MADV_DONTNEED on pages of a file that is gone",
            -ERRNO.EINVAL,
          );
        }
      }
      // What is in a shared file stays.
      for (const area of areas) {
        if (area.kind === "shared") continue;
        const start = Math.max(area.start, va);
        const end = Math.min(area.end, va + length);
        space.zero(start, end - start);
        if (isFrom.includes(area)) readAgain(linux, area, start, end);
      }
    }
    if (advice === MADV_REMOVE) {
      const result = remove(linux, va, length);
      if (result < 0) return result;
    }
    if (advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE) {
      const access = advice === MADV_POPULATE_READ ? PROT.read : PROT.write;
      const result = populate(linux, va, length, access);
      if (result < 0) return result;
    }
    const isAll = !isCut && space.areas.covers(va, va + length);
    return isAll ? 0 : -ERRNO.ENOMEM;
  },
};

/** What it lacks. */
export const advicePartly = {
  madvise:
    "MADV_DONTNEED of a file that is gone (EINVAL), of shared memory that is no file (it is zero then); MADV_REMOVE of that (EINVAL)",
} as const satisfies PartlyTable;
