/**
 * The futex system call, and what a thread's end does with its futexes.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { ANY_BITSET } from "../futexes.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { Task } from "../task.ts";
import { inheritPi, lockPi, tryLockPi, unlockPi } from "./futex_pi.ts";
import { deadlineOf, futexAt, load, WORD } from "./futex_word.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Operations (linux/futex.h). */
const FUTEX = {
  wait: 0,
  wake: 1,
  requeue: 3,
  cmpRequeue: 4,
  wakeOp: 5,
  lockPi: 6,
  unlockPi: 7,
  tryLockPi: 8,
  waitBitset: 9,
  wakeBitset: 10,
  waitRequeuePi: 11,
  lockPi2: 13,
} as const;
const PRIVATE_FLAG = 128;
const CLOCK_REALTIME = 256;

/** Operations whose time may be one of CLOCK_REALTIME. */
const REALTIME: ReadonlySet<number> = new Set([
  FUTEX.waitBitset,
  FUTEX.waitRequeuePi,
  FUTEX.lockPi2,
]);

/** Most entries of a robust list that are looked at. */
const ROBUST_LIST_LIMIT = 2048;

/** Bytes of `struct robust_list_head`: the first entry, an offset, another. */
const ROBUST_HEAD_BYTES = 24;

function wait(linux: Linux, args: Registers, bitset: number): number {
  const { resumed, task, clock } = linux;
  if (resumed?.futex) {
    if (resumed.futex.isWoken) return 0;
    const { deadlineNs } = resumed;
    if (deadlineNs === null || clock.monotonicNs() < deadlineNs) {
      return linux.waitFor({ deadlineNs, futex: resumed.futex });
    }
    linux.futexes.remove(resumed);
    return -ERRNO.ETIMEDOUT;
  }
  if (bitset === 0) return -ERRNO.EINVAL;
  const operation = args.int(1);
  const end = deadlineOf(
    linux,
    args.u64(3),
    (operation & ~(PRIVATE_FLAG | CLOCK_REALTIME)) === FUTEX.waitBitset,
    (operation & CLOCK_REALTIME) !== 0,
  );
  if (typeof end === "number") return end;
  const va = futexAt(linux, args, 0);
  if (va < 0) return va;
  const value = load(linux, va);
  if (value < 0) return value;
  if (value !== args.uint(2)) return -ERRNO.EAGAIN;
  if (end.deadlineNs !== null && end.deadlineNs <= clock.monotonicNs()) {
    return -ERRNO.ETIMEDOUT;
  }
  const result = linux.waitFor({
    deadlineNs: end.deadlineNs,
    futex: { address: va, bitset, isWoken: false },
  });
  linux.futexes.add(task);
  return result;
}

/**
 * The address of a futex that nobody looks into. Of one that other processes may
 * share, Linux finds out which memory it is: it must be there.
 */
function keyAt(linux: Linux, args: Registers, i: number): number {
  const va = futexAt(linux, args, i);
  if (va < 0 || args.int(1) & PRIVATE_FLAG) return va;
  return load(linux, va) < 0 ? -ERRNO.EFAULT : va;
}

/** FUTEX_WAKE_OP's operation on a futex, and whether its old value fits. */
function wakeOp(linux: Linux, va: number, encoded: number): number {
  const operation = encoded >>> 28 & 7;
  const isShift = (encoded & 0x8000_0000) !== 0;
  const comparison = encoded >>> 24 & 15;
  let operand = encoded << 8 >> 20;
  const against = encoded << 20 >> 20;
  if (isShift) operand = 1 << (operand & 31);
  const loaded = load(linux, va);
  if (loaded < 0) return loaded;
  const old = loaded | 0;
  const results = [
    operand,
    old + operand,
    old | operand,
    old & ~operand,
    old ^ operand,
  ];
  if (operation >= results.length) return -ERRNO.ENOSYS;
  const written = linux.user.writeU32(va, results[operation] >>> 0);
  if (written < 0) return written;
  const fits = [
    old === against,
    old !== against,
    old < against,
    old <= against,
    old > against,
    old >= against,
  ];
  if (comparison >= fits.length) return -ERRNO.ENOSYS;
  return fits[comparison] ? 1 : 0;
}

/** The futex system call. */
export const futexCalls: SyscallTable = {
  futex(linux, args) {
    const operation = args.int(1) & ~(PRIVATE_FLAG | CLOCK_REALTIME);
    const count = args.int(2);
    const { futexes } = linux;
    if (args.int(1) & CLOCK_REALTIME && !REALTIME.has(operation)) {
      // A time is read before it is said that it may not be of that clock.
      const isTimed = operation === FUTEX.wait || operation === FUTEX.lockPi;
      const end = isTimed ? deadlineOf(linux, args.u64(3), true, true) : 0;
      return typeof end === "number" && end < 0 ? end : -ERRNO.ENOSYS;
    }
    switch (operation) {
      case FUTEX.wait:
        return wait(linux, args, ANY_BITSET);
      case FUTEX.waitBitset:
        return wait(linux, args, args.uint(5));
      case FUTEX.wake:
      case FUTEX.wakeBitset: {
        const bitset = operation === FUTEX.wake ? ANY_BITSET : args.uint(5);
        if (bitset === 0) return -ERRNO.EINVAL;
        const va = keyAt(linux, args, 0);
        if (va < 0) return va;
        return futexes.wake(va, Math.max(count, 1), bitset);
      }
      case FUTEX.requeue:
      case FUTEX.cmpRequeue: {
        const most = args.int(3);
        if (count < 0 || most < 0) return -ERRNO.EINVAL;
        const va = keyAt(linux, args, 0);
        if (va < 0) return va;
        const to = keyAt(linux, args, 4);
        if (to < 0) return to;
        if (operation === FUTEX.cmpRequeue) {
          const value = load(linux, va);
          if (value < 0) return value;
          if (value !== args.uint(5)) return -ERRNO.EAGAIN;
        }
        const woken = futexes.wake(va, count);
        const moved = futexes.requeue(va, to, most);
        return woken + moved;
      }
      case FUTEX.wakeOp: {
        const va = keyAt(linux, args, 0);
        if (va < 0) return va;
        const second = futexAt(linux, args, 4);
        if (second < 0) return second;
        const fits = wakeOp(linux, second, args.uint(5));
        if (fits < 0) return fits;
        const woken = futexes.wake(va, Math.max(count, 1));
        const more = Math.max(args.int(3), 1);
        return woken + (fits ? futexes.wake(second, more) : 0);
      }
      case FUTEX.lockPi:
      case FUTEX.lockPi2: {
        const isRealtime = operation === FUTEX.lockPi ||
          (args.int(1) & CLOCK_REALTIME) !== 0;
        const end = linux.resumed?.futex
          ? { deadlineNs: null } // it is known
          : deadlineOf(linux, args.u64(3), true, isRealtime);
        if (typeof end === "number") return end;
        const va = futexAt(linux, args, 0);
        return va < 0 ? va : lockPi(linux, va, end.deadlineNs);
      }
      case FUTEX.tryLockPi: {
        const va = futexAt(linux, args, 0);
        return va < 0 ? va : tryLockPi(linux, va);
      }
      case FUTEX.unlockPi:
        return unlockPi(linux, args.u64(0));
      default:
        return linux.unsupported(
          "futex",
          `operation ${operation}`,
          -ERRNO.ENOSYS,
        );
    }
  },
  set_robust_list(linux, args) {
    if (args.u64(1) !== ROBUST_HEAD_BYTES) return -ERRNO.EINVAL;
    linux.task.state.robustList = args.u64(0);
    return 0;
  },
  get_robust_list(linux, args) {
    const tid = args.int(0);
    const task = tid === 0 ? linux.task : linux.process.tasks.get(tid);
    if (!task) return -ERRNO.ESRCH;
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(ROBUST_HEAD_BYTES), true);
    const written = linux.user.writeStruct(args.u64(2), view);
    if (written < 0) return written;
    view.setBigUint64(0, BigInt(task.state.robustList), true);
    return linux.user.writeStruct(args.u64(1), view);
  },
};

/** What it lacks. */
export const futexPartly = {
  futex:
    "moving who waits to a futex with an owner (FUTEX_CMP_REQUEUE_PI); one that is mapped at two addresses is two",
} as const satisfies PartlyTable;

/** An entry of a robust list; its lowest bit says which kind it is of. */
interface RobustEntry {
  readonly va: number;
  readonly isPi: boolean;
}

/**
 * Marks a futex whose owner has ended, and wakes one who waits for it, as
 * handle_futex_death of kernel/futex/core.c does.
 *
 * @param isPending whether the task was about to take it, or to give it up
 * @returns whether there is such a futex
 */
function ownerDied(
  linux: Linux,
  task: Task,
  va: number,
  { isPi, isPending }: { isPi: boolean; isPending: boolean },
): boolean {
  const value = load(linux, va);
  if (value < 0) return false;
  const owner = value & WORD.tid;
  if (isPending && !isPi && owner === 0) {
    // It was given up already, but perhaps nobody was woken yet.
    linux.futexes.wake(va, 1);
    return true;
  }
  if (owner !== task.tid) return true;
  const marked = ((value & WORD.waiters) | WORD.ownerDied) >>> 0;
  if (linux.user.writeU32(va, marked) < 0) return false;
  if (!isPi && value & WORD.waiters) linux.futexes.wake(va, 1);
  return true;
}

/** Marks the futexes of a task's robust list, up to one that is not there. */
function releaseRobust(linux: Linux, task: Task): void {
  const { robustList } = task.state;
  if (robustList === 0) return;
  const entryAt = (va: number): RobustEntry | undefined => {
    const value = linux.user.readStruct(va, 8)?.getBigUint64(0, true);
    if (value === undefined) return undefined;
    return { va: Number(value & ~1n), isPi: (value & 1n) !== 0n };
  };
  let entry = entryAt(robustList);
  const offsetView = linux.user.readStruct(robustList + 8, 8);
  if (!entry || !offsetView) return;
  const offset = Number(offsetView.getBigInt64(0, true));
  const pending = entryAt(robustList + 16);
  if (!pending) return;
  for (let i = 0; i < ROBUST_LIST_LIMIT && entry.va !== robustList; i++) {
    const { va, isPi }: RobustEntry = entry;
    const next = entryAt(va);
    const how = { isPi, isPending: false };
    const isThere = va === pending.va ||
      ownerDied(linux, task, va + offset, how);
    if (!isThere || !next) return;
    entry = next;
  }
  if (pending.va === 0) return;
  const how = { isPi: pending.isPi, isPending: true };
  ownerDied(linux, task, pending.va + offset, how);
}

/**
 * What Linux does with the futexes of a thread that ends: those of its robust
 * list are marked, and whoever joins it is told.
 */
export function releaseFutexes(linux: Linux, task: Task): void {
  const { clearChildTid } = task.state;
  inheritPi(linux, task);
  releaseRobust(linux, task);
  if (clearChildTid !== 0 && linux.user.writeU32(clearChildTid, 0) === 0) {
    linux.futexes.wake(clearChildTid, 1);
  }
}
