/**
 * System calls on capabilities.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Versions of the structures (linux/capability.h), and their parts. */
const VERSIONS = new Map([
  [0x1998_0330, 1],
  [0x2007_1026, 2],
  [0x2008_0522, 2],
]);
const NEWEST_VERSION = 0x2008_0522;

/** All 41 capabilities, 32 in a part: root has them. */
const ALL = [0xffff_ffff, 0x1ff];

/** Length of one part: effective, permitted, inheritable. */
const PART_BYTES = 12;

/** Calls on capabilities. */
export const capabilityCalls: SyscallTable = {
  capget(linux, args) {
    const header = args.u64(0);
    const view = linux.user.readStruct(header, 8);
    if (!view) return -ERRNO.EFAULT;
    const parts = VERSIONS.get(view.getUint32(0, true));
    const data = args.u64(1);
    if (parts === undefined) {
      const result = linux.user.writeU32(header, NEWEST_VERSION);
      // Without a place for the answer, only the version was asked for.
      return result < 0 || data === 0 ? result : -ERRNO.EINVAL;
    }
    if (data === 0) return 0;
    const pid = view.getInt32(4, true);
    if (pid < 0) return -ERRNO.EINVAL;
    if (pid !== 0 && !linux.process.tasks.has(pid)) return -ERRNO.ESRCH;
    const answer = new DataView(new ArrayBuffer(parts * PART_BYTES));
    for (let part = 0; part < parts && linux.ids.uid === 0; part++) {
      answer.setUint32(part * PART_BYTES, ALL[part], true);
      answer.setUint32(part * PART_BYTES + 4, ALL[part], true);
    }
    return linux.user.writeStruct(data, answer);
  },
};

/** What they lack. */
export const capabilityPartly = {
  capget: "root has all, and nobody else has one",
} as const satisfies PartlyTable;
