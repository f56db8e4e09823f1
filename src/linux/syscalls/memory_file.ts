/**
 * memfd_create: files without a name, in the host's memory. Their content
 * travels, with their seals, as that of any file that has no name.
 *
 * @module
 */

import {
  close,
  HostFile,
  isForVmm,
  memfdWithFlags,
  O,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { hasDescriptorLeft, install } from "./limits.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Flags of memfd_create(2) (linux/memfd.h). */
const MFD = {
  closeOnExec: 1,
  allowSealing: 2,
  hugePages: 4,
  noExecSeal: 8,
  exec: 16,
} as const;

/** Longest name with its zero: NAME_MAX without "memfd:". */
const NAME_BYTES = 250;

/** Calls that make files in memory. */
export const memoryFileCalls: SyscallTable = {
  memfd_create(linux, args) {
    const flags = args.uint(1);
    const known = MFD.closeOnExec | MFD.allowSealing | MFD.noExecSeal |
      MFD.exec;
    if (flags & MFD.hugePages) {
      return linux.unsupported(
        "memfd_create",
        "MFD_HUGETLB",
        -ERRNO.EINVAL,
      );
    }
    if (flags & ~known) return -ERRNO.EINVAL;
    const name = linux.user.readString(args.u64(0), NAME_BYTES);
    if (name === -ERRNO.ENAMETOOLONG) return -ERRNO.EINVAL;
    if (typeof name === "number") return name;
    const left = hasDescriptorLeft(linux);
    if (left < 0) return left;
    // The host's own flag is always set.
    const hostFlags = flags | MFD.closeOnExec;
    const fd = memfdWithFlags(String.fromCharCode(...name), hostFlags);
    if (fd < 0) return fd;
    if (isForVmm(fd)) {
      close(fd);
      return -ERRNO.EMFILE;
    }
    const file = new HostFile(fd, O.readWrite | O.largeFile);
    return install(linux, file, (flags & MFD.closeOnExec) !== 0);
  },
};

/** What they lack. */
export const memoryFilePartly = {
  memfd_create:
    "huge pages (EINVAL); all together are as long as the VM has memory (ENOSPC)",
} as const satisfies PartlyTable;
