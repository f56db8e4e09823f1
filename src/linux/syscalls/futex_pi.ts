/**
 * Futexes that have an owner (FUTEX_LOCK_PI and its kin). Priorities, which they
 * hand on, are none here: the threads share one vCPU in turn.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { TO_OWN } from "../futexes.ts";
import type { Linux } from "../linux.ts";
import type { Task } from "../task.ts";
import { load, WORD } from "./futex_word.ts";

/** Takes a futex that has no owner: 0, -EAGAIN where it has one, or an errno. */
export function tryLockPi(linux: Linux, va: number): number {
  const value = load(linux, va);
  if (value < 0) return value;
  const owner = value & WORD.tid;
  const { tid } = linux.task;
  if (owner === tid) return -ERRNO.EDEADLK;
  if (owner !== 0) {
    return linux.process.tasks.has(owner) ? -ERRNO.EAGAIN : -ERRNO.ESRCH;
  }
  const isWaited = linux.futexes.nextOwner(va) !== undefined;
  const marks = value & WORD.ownerDied | (isWaited ? WORD.waiters : 0);
  return linux.user.writeU32(va, (tid | marks) >>> 0);
}

/** Takes a futex, or waits until its owner hands it over. */
export function lockPi(
  linux: Linux,
  va: number,
  deadlineNs: number | null,
): number {
  const { resumed, task, clock } = linux;
  const isLate = () => deadlineNs !== null && clock.monotonicNs() >= deadlineNs;
  if (resumed?.futex) {
    if (resumed.futex.isWoken) return 0;
    deadlineNs = resumed.deadlineNs;
    if (!isLate()) return linux.waitFor({ deadlineNs, futex: resumed.futex });
    linux.futexes.remove(resumed);
    return -ERRNO.ETIMEDOUT;
  }
  const taken = tryLockPi(linux, va);
  if (taken !== -ERRNO.EAGAIN) return taken;
  const written = linux.user.writeU32(
    va,
    (load(linux, va) | WORD.waiters) >>> 0,
  );
  if (written < 0) return written;
  if (isLate()) return -ERRNO.ETIMEDOUT;
  const futex = { address: va, bitset: TO_OWN, isWoken: false };
  const result = linux.waitFor({ deadlineNs, futex });
  linux.futexes.add(task);
  return result;
}

/** Hands a futex over to the first who waits for it; what it says otherwise. */
function handOver(linux: Linux, va: number, marks: number): number | undefined {
  const next = linux.futexes.nextOwner(va);
  if (!next) return undefined;
  const value = (next.tid | WORD.waiters | marks) >>> 0;
  const written = linux.user.writeU32(va, value);
  if (written === 0) linux.futexes.give(next);
  return written;
}

/** Gives a futex up that the task owns: that is looked at first. */
export function unlockPi(linux: Linux, va: number): number {
  const value = linux.user.readStruct(va, 4)?.getUint32(0, true);
  if (value === undefined) return -ERRNO.EFAULT;
  if ((value & WORD.tid) !== linux.task.tid) return -ERRNO.EPERM;
  if (va % 4 !== 0) return -ERRNO.EINVAL;
  return handOver(linux, va, 0) ?? linux.user.writeU32(va, 0);
}

/** Hands over what a thread owns that ends. */
export function inheritPi(linux: Linux, { tid }: Task): void {
  for (const va of linux.futexes.owned()) {
    const value = load(linux, va);
    if (value >= 0 && (value & WORD.tid) === tid) {
      handOver(linux, va, WORD.ownerDied);
    }
  }
}
