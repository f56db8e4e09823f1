/**
 * System calls that give a program memory and take it back: anonymous, or a
 * file's or a device's.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { DeviceFile, O, type OpenFile, PluginFile } from "../../devices/mod.ts";
import { PAGE_BYTES, PROT, USER_END_VA } from "../../vmm/mod.ts";
import type { Linux } from "../linux.ts";
import { LOWEST_VA, pageCeil } from "../space_layout.ts";
import { mapFile } from "./file_pages.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { isAligned } from "./ranges.ts";

/** Flags of mmap (asm-generic/mman-common.h, linux/mman.h, asm/mman.h). */
const MAP = {
  shared: 0x01,
  private: 0x02,
  sharedValidate: 0x03,
  type: 0x0f,
  fixed: 0x10,
  anonymous: 0x20,
  below2GiB: 0x40,
  growsDown: 0x0100,
  noReserve: 0x4000,
  hugePages: 0x4_0000,
  fixedNoReplace: 0x10_0000,
  /** Those that MAP_SHARED_VALIDATE knows (LEGACY_MAP_MASK of linux/mman.h). */
  validated: 0x7c07_f9f3n,
} as const;

/** Where MAP_32BIT has mappings (find_start_end of arch/x86). */
const BELOW_2GIB = { start: 0x4000_0000, end: 0x8000_0000 } as const;

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
    return hint < LOWEST_VA ? -ERRNO.EPERM : hint;
  }
  const within = flags & MAP.below2GiB ? BELOW_2GIB : undefined;
  const wish = pageCeil(hint);
  if (
    wish >= LOWEST_VA && wish + lengthBytes <= (within?.end ?? USER_END_VA) &&
    !space.areas.overlaps(wish, wish + lengthBytes)
  ) return wish;
  const free = space.findFree(lengthBytes, within);
  return free < 0 ? -ERRNO.ENOMEM : free;
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

/** Whether a file is /dev/zero: a mapping of it is an anonymous one. */
function isZero(file: OpenFile | undefined): boolean {
  return file instanceof DeviceFile && file.path === "/dev/zero";
}

/** Calls that map and unmap, and move the end of the heap. */
export const mappingCalls: SyscallTable = {
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
    if (!anonymous && flags & MAP.hugePages) return -ERRNO.EINVAL;
    if (length === 0) return -ERRNO.EINVAL;
    if (!(length <= USER_END_VA)) return -ERRNO.ENOMEM;
    const bytes = pageCeil(length);
    const va = place(linux, args.u64(0), bytes, flags);
    if (va < 0) return va;
    const isKnown = type === MAP.private || type === MAP.shared ||
      type === MAP.sharedValidate && !anonymous;
    if (!isKnown) return -ERRNO.EINVAL;
    const growsDown = (flags & MAP.growsDown) !== 0;
    if (anonymous && type === MAP.shared && growsDown) return -ERRNO.EINVAL;
    if (!anonymous) {
      // Beyond any file's end.
      if (offset + bytes > Number.MAX_SAFE_INTEGER) return -ERRNO.EOVERFLOW;
      if (type === MAP.sharedValidate && args.big(3) & ~MAP.validated) {
        return -ERRNO.EOPNOTSUPP;
      }
      const writes = type !== MAP.private && (prot & PROT.write) !== 0;
      if (writes && !file!.isWritable) return -ERRNO.EACCES;
      if (!file!.isReadable) return -ERRNO.EACCES;
      if (file instanceof PluginFile && type !== MAP.private && !growsDown) {
        return mapDevice(linux, file, offset, { va, bytes, prot: prot & 7 });
      }
      if (file!.type !== "host" && !isZero(file)) return -ERRNO.ENODEV;
      if (growsDown) return -ERRNO.EINVAL;
      if (type !== MAP.private && !isZero(file)) {
        return linux.space.mapShared(va, bytes, prot & 7, {
          file: file!,
          offset,
        });
      }
    }
    const lazy = (flags & MAP.noReserve) !== 0;
    if (anonymous || isZero(file)) {
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
};

/** What they lack. */
export const mappingPartly = {
  mmap:
    "MAP_GROWSDOWN and MAP_HUGETLB have no effect, nor has MAP_SYNC but with MAP_SHARED_VALIDATE (EOPNOTSUPP); files mapped privately are read whole, at once (ENOMEM)",
} as const satisfies PartlyTable;
