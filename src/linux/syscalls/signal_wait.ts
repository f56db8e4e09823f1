/**
 * System calls that wait for signals.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { UNBLOCKABLE } from "../signals/sets.ts";
import type { SyscallTable } from "./mod.ts";
import { readSet, SET_BYTES } from "./signals.ts";

/** Calls that wait for signals. */
export const signalWaitCalls: SyscallTable = {
  // It ends when a handler was called.
  pause: (linux) => linux.waitFor({}),
  rt_sigsuspend(linux, args) {
    if (linux.resumed) return linux.waitFor({});
    if (args.u64(1) !== SET_BYTES) return -ERRNO.EINVAL;
    const mask = readSet(linux, args.u64(0));
    if (mask === undefined) return -ERRNO.EFAULT;
    linux.signals.setTemporaryMask(mask);
    return linux.waitFor({});
  },
  rt_sigtimedwait(linux, args) {
    const { resumed, clock, user } = linux;
    if (args.u64(3) !== SET_BYTES) return -ERRNO.EINVAL;
    const set = readSet(linux, args.u64(0));
    if (set === undefined) return -ERRNO.EFAULT;
    let deadlineNs = resumed?.deadlineNs ?? null;
    if (!resumed && args.u64(2) !== 0) {
      const time = user.readStruct(args.u64(2), 16);
      if (!time) return -ERRNO.EFAULT;
      const seconds = Number(time.getBigInt64(0, true));
      const nanoseconds = Number(time.getBigInt64(8, true));
      if (seconds < 0 || nanoseconds < 0 || nanoseconds >= 1e9) {
        return -ERRNO.EINVAL;
      }
      deadlineNs = clock.deadlineNs(seconds, nanoseconds);
    }
    const taken = linux.signals.take(linux.task, set & ~UNBLOCKABLE);
    if (taken) {
      const va = args.u64(1);
      const isTold = va === 0 || user.write(va, taken.info);
      return isTold ? taken.signal : -ERRNO.EFAULT;
    }
    if (deadlineNs !== null && clock.monotonicNs() >= deadlineNs) {
      return -ERRNO.EAGAIN;
    }
    return linux.waitFor({ deadlineNs });
  },
};
