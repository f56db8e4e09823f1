/**
 * System calls on the address space.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import {
  fallocate,
  HostFile,
  O,
  type OpenFile,
  PluginFile,
} from "../../devices/mod.ts";
import { BLOCK_BYTES, PAGE_BYTES, PROT, USER_END_VA } from "../../vmm/mod.ts";
import { pageCeil } from "../address_space.ts";
import { isSameFile, movedBy, sourceOf } from "../area_source.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { SyscallTable } from "./mod.ts";
import { isAligned, isBeyond64Bits, pages } from "./ranges.ts";
import { nextStep } from "./steps.ts";

/** Flags of mmap and mremap (asm-generic/mman-common.h, linux/mman.h). */
const MAP = {
  shared: 0x01,
  private: 0x02,
  sharedValidate: 0x03,
  type: 0x0f,
  fixed: 0x10,
  anonymous: 0x20,
  noReserve: 0x4000,
  fixedNoReplace: 0x10_0000,
} as const;
const MREMAP = { mayMove: 1, fixed: 2, dontUnmap: 4 } as const;

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

/** Areas that are of a file, or of a device. */
const FILE_KINDS: ReadonlySet<string> = new Set([
  "program",
  "file",
  "beyond",
  "shared",
  "device",
]);
const MADV_REMOVE = 9;

/** FALLOC_FL_PUNCH_HOLE, and FALLOC_FL_KEEP_SIZE with it (linux/falloc.h). */
const PUNCH_HOLE = 3;

const MADV_POPULATE_READ = 22;
const MADV_POPULATE_WRITE = 23;
const MADV_DONTNEED_LOCKED = 24;

/** How many pages mincore looks at between two turns of the event loop. */
const MINCORE_STEP_PAGES = 1024 * 1024;

/** Where a mapping goes: an address, or a negative errno. */
function place(
  linux: Linux,
  hint: number,
  lengthBytes: number,
  flags: number,
): number {
  const { space } = linux;
  if (flags & (MAP.fixed | MAP.fixedNoReplace)) {
    if (hint + lengthBytes > USER_END_VA) return -ERRNO.ENOMEM;
    if (hint % PAGE_BYTES !== 0) return -ERRNO.EINVAL;
    if (
      flags & MAP.fixedNoReplace &&
      space.areas.overlaps(hint, hint + lengthBytes)
    ) return -ERRNO.EEXIST;
    // As Linux refuses what is below vm.mmap_min_addr, even to root with it.
    return hint < 0x1_0000 ? -ERRNO.EPERM : hint;
  }
  const wish = pageCeil(hint);
  if (
    wish >= 0x1_0000 && wish + lengthBytes <= USER_END_VA &&
    !space.areas.overlaps(wish, wish + lengthBytes)
  ) return wish;
  const free = space.findFree(lengthBytes);
  return free < 0 ? -ERRNO.ENOMEM : free;
}

/**
 * Maps a copy of a file's pages; those wholly beyond its end may not be used.
 *
 * @returns `va`, or a negative errno
 */
function mapFile(
  linux: Linux,
  file: OpenFile,
  offset: number,
  where: { va: number; bytes: number; prot: number; lazy: boolean },
): number {
  const { va, bytes, prot, lazy } = where;
  const { space } = linux;
  const stat = new Uint8Array(144);
  const looked = file.stat(stat);
  if (looked < 0) return looked;
  const sizeBytes = Number(new DataView(stat.buffer).getBigInt64(48, true));
  const held = Math.min(pageCeil(Math.max(sizeBytes - offset, 0)), bytes);
  // All that the file holds is brought in now, into blocks of its own.
  if (held > space.blocks.freeBytes - BLOCK_BYTES) return -ERRNO.ENOMEM;
  const fd = file.hostFd!; // files of the host alone are mapped
  const from = sourceOf(fd, linux.paths.nameOf(fd));
  const source = from && { file: from, offset };
  const end = movedBy(source, held);
  const result = space.map(
    va,
    bytes,
    prot,
    "beyond",
    true,
    held ? end : source,
  );
  if (result < 0 || held === 0) return result;
  const inside = space.map(va, held, prot, "file", lazy, source);
  if (inside < 0) {
    space.unmap(va, bytes);
    return inside;
  }
  for (let done = 0; done < held;) {
    const io = linux.user.area(va + done, held - done);
    const got = file.pread(io, offset + done);
    if (got < 0) {
      space.unmap(va, bytes);
      return got === -ERRNO.EISDIR ? -ERRNO.ENODEV : got;
    }
    if (got === 0) break; // what is left of the last page: zero
    done += got;
  }
  return va;
}

/** Opens the file that an area's pages were read from, if it is there still. */
function openSource(linux: Linux, { source }: Area): HostFile | undefined {
  if (!source) return undefined;
  const { path } = source.file;
  const fd = linux.paths.open("/", path, O.readOnly, 0, { read: true });
  if (fd < 0) return undefined;
  const file = new HostFile(fd, O.readOnly);
  const found = sourceOf(fd, path);
  if (found && isSameFile(found, source.file)) return file;
  file.close();
  return undefined;
}

/** Reads pages of a private mapping from their file again. */
function readAgain(linux: Linux, area: Area, start: number, end: number): void {
  const file = openSource(linux, area);
  if (!file) return;
  const offset = area.source!.offset + (start - area.start);
  for (let done = 0; done < end - start;) {
    const io = linux.user.area(start + done, end - start - done);
    const got = file.pread(io, offset + done);
    if (got <= 0) break;
    done += got;
  }
  file.close();
}

/** Maps addresses of a device, if its file has any. */
function mapDevice(
  linux: Linux,
  file: PluginFile,
  offset: number,
  { va, bytes, prot }: { va: number; bytes: number; prot: number },
): number {
  const gpa = file.mmap(offset, bytes);
  return gpa < 0 ? gpa : linux.space.mapDevice(va, bytes, prot, gpa);
}

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

/** mlock and munlock: whether the pages are there is all that shows. */
function lock(linux: Linux, args: Registers): number {
  const va = args.u64(0);
  const start = va - va % PAGE_BYTES;
  const end = pageCeil(va + args.u64(1));
  if (isBeyond64Bits(args)) return -ERRNO.EINVAL;
  return linux.space.areas.covers(start, end) ? 0 : -ERRNO.ENOMEM;
}

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

/** Calls on the address space. */
export const memoryCalls: SyscallTable = {
  brk(linux, args) {
    return linux.space.brk(args.u64(0));
  },
  mmap(linux, args) {
    const length = args.u64(1);
    const prot = args.int(2);
    const flags = args.int(3);
    const offset = args.u64(5);
    if (!isAligned(args, 5)) return -ERRNO.EINVAL;
    const type = flags & MAP.type;
    const anonymous = (flags & MAP.anonymous) !== 0;
    const fd = args.int(4);
    const file = linux.fds.file(fd);
    if (!anonymous && (!file || file.flags & O.path)) return -ERRNO.EBADF;
    if (length === 0) return -ERRNO.EINVAL;
    if (!(length <= USER_END_VA)) return -ERRNO.ENOMEM;
    const bytes = pageCeil(length);
    const va = place(linux, args.u64(0), bytes, flags);
    if (va < 0) return va;
    const isKnown = type === MAP.private || type === MAP.shared ||
      type === MAP.sharedValidate && !anonymous;
    if (!isKnown) return -ERRNO.EINVAL;
    if (!anonymous) {
      // Beyond any file's end.
      if (offset + bytes > Number.MAX_SAFE_INTEGER) return -ERRNO.EOVERFLOW;
      const writes = type !== MAP.private && (prot & PROT.write) !== 0;
      if (writes && !file!.isWritable) return -ERRNO.EACCES;
      if (!file!.isReadable) return -ERRNO.EACCES;
      if (file instanceof PluginFile && type !== MAP.private) {
        return mapDevice(linux, file, offset, { va, bytes, prot: prot & 7 });
      }
      if (file!.type !== "host") return -ERRNO.ENODEV;
      if (type !== MAP.private) {
        return linux.space.mapShared(va, bytes, prot & 7, {
          file: file!,
          offset,
        });
      }
    }
    const lazy = (flags & MAP.noReserve) !== 0;
    if (anonymous) {
      return linux.space.map(va, bytes, prot & 7, "anonymous", lazy);
    }
    return mapFile(linux, file!, offset, { va, bytes, prot: prot & 7, lazy });
  },
  munmap(linux, args) {
    const va = args.u64(0);
    const length = args.u64(1);
    if (length === 0 || !isAligned(args, 0)) return -ERRNO.EINVAL;
    if (!(va + length <= USER_END_VA)) return -ERRNO.EINVAL;
    return linux.space.unmap(va, pageCeil(length));
  },
  mremap(linux, args) {
    const va = args.u64(0);
    const flags = args.int(3);
    const known = MREMAP.mayMove | MREMAP.fixed;
    if (flags & MREMAP.dontUnmap) {
      return linux.unsupported("mremap with MREMAP_DONTUNMAP", -ERRNO.EINVAL);
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
      if (space.hasDevice(va, length)) return -ERRNO.EINVAL;
      const areas = space.areas.within(va, va + length);
      const isFrom = areas.filter(({ kind }) =>
        kind === "file" || kind === "program"
      );
      for (const area of isFrom) {
        const file = openSource(linux, area);
        if (file) file.close();
        else {
          return linux.unsupported(
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
};
