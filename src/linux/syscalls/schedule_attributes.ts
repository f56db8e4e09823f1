/**
 * sched_getattr and sched_setattr: a policy with all that belongs to it.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { checkPolicy, checkTask, SCHED, setNice } from "./scheduling.ts";

/** Lengths of `struct sched_attr` (linux/sched/types.h). */
const ATTR = { first: 48, known: 56, most: 4096 } as const;

/** Its flags (linux/sched.h). */
const FLAG = { keepPolicy: 8n, keepParams: 16n, clamp: 0x60n, all: 0x7fn };

/** What a program asks for. */
interface Attributes {
  /** How long it says that the structure is. */
  readonly lengthBytes: number;
  readonly policy: number;
  readonly flags: bigint;
  readonly nice: number;
  readonly priority: number;
}

/** Says how long the structure is that is known here. */
function tooLong(linux: Linux, va: number): number {
  linux.user.writeU32(va, ATTR.known);
  return -ERRNO.E2BIG;
}

/** Copies what is asked for, or gives a negative errno. */
function readAttributes(linux: Linux, va: number): Attributes | number {
  const size = linux.user.readStruct(va, 4)?.getUint32(0, true);
  if (size === undefined) return -ERRNO.EFAULT;
  const lengthBytes = size || ATTR.first;
  if (lengthBytes < ATTR.first || lengthBytes > ATTR.most) {
    return tooLong(linux, va);
  }
  const bytes = new Uint8Array(ATTR.most);
  if (!linux.user.read(va, bytes.subarray(0, lengthBytes))) {
    return -ERRNO.EFAULT;
  }
  const isMore = bytes.subarray(ATTR.known).some((byte) => byte !== 0);
  if (isMore) return tooLong(linux, va);
  const view = new DataView(bytes.buffer);
  return {
    lengthBytes,
    policy: view.getInt32(4, true),
    flags: view.getBigUint64(8, true),
    nice: view.getInt32(16, true),
    priority: view.getUint32(20, true),
  };
}

/** Calls on what belongs to a policy. */
export const scheduleAttributeCalls: SyscallTable = {
  sched_getattr(linux, args) {
    const size = args.uint(2);
    const va = args.u64(1);
    const isKnown = size >= ATTR.first && size <= ATTR.most;
    if (va === 0 || args.int(0) < 0 || !isKnown || args.uint(3) !== 0) {
      return -ERRNO.EINVAL;
    }
    const found = checkTask(linux, args.int(0));
    if (found < 0) return found;
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(0, Math.min(size, ATTR.known), true);
    view.setUint32(4, SCHED.other, true);
    view.setInt32(16, linux.process.state.nice, true);
    return linux.user.writeStruct(va, view);
  },
  sched_setattr(linux, args) {
    const va = args.u64(1);
    if (va === 0 || args.int(0) < 0 || args.uint(2) !== 0) {
      return -ERRNO.EINVAL;
    }
    const wish = readAttributes(linux, va);
    if (typeof wish === "number") return wish;
    const { flags, nice, priority } = wish;
    const clamps = (flags & FLAG.clamp) !== 0n;
    if (clamps && wish.lengthBytes < ATTR.known) return -ERRNO.EINVAL;
    if (wish.policy < 0) return -ERRNO.EINVAL;
    const found = checkTask(linux, args.int(0));
    if (found < 0) return found;
    const policy = flags & FLAG.keepPolicy ? SCHED.other : wish.policy;
    const keeps = (flags & FLAG.keepParams) !== 0n;
    if (flags & ~FLAG.all) return -ERRNO.EINVAL;
    const checked = checkPolicy(policy, keeps ? 0 : priority);
    if (checked < 0) return checked;
    if (clamps) return -ERRNO.EOPNOTSUPP;
    if (keeps || policy === SCHED.idle) return 0;
    return setNice(linux, nice, -ERRNO.EPERM);
  },
};

/** What they lack. */
export const scheduleAttributePartly = {
  sched_setattr: "as sched_setscheduler; bounds of utilization (EOPNOTSUPP)",
  sched_getattr: "as sched_getscheduler",
} as const satisfies PartlyTable;
