/**
 * Waiting at many futexes, until any of them is woken.
 *
 * @module
 */

import { type FutexWait, MAX_FUTEXES } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { ANY_BITSET } from "../futexes.ts";
import type { Linux } from "../linux.ts";
import { deadlineOf, load } from "./futex_word.ts";
import type { SyscallTable } from "./mod.ts";

/** Bytes of a `struct futex_waitv` (linux/futex.h). */
const WAITER_BYTES = 24;

/** Flags of one: its futex has 32 bits, the only size that Linux has. */
const FUTEX2_SIZE_U32 = 2;
const FUTEX2_PRIVATE = 128;

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;

/** What the program asks of one futex. */
interface Asked {
  readonly address: number;
  readonly value: number;
  readonly isPrivate: boolean;
}

/** Copies what is asked, or gives a negative errno. */
function readAsked(linux: Linux, va: number, count: number): Asked[] | number {
  const asked: Asked[] = [];
  for (let i = 0; i < count; i++) {
    const waiter = linux.user.readStruct(va + i * WAITER_BYTES, WAITER_BYTES);
    if (!waiter) return -ERRNO.EFAULT;
    const value = waiter.getBigUint64(0, true);
    const flags = waiter.getUint32(16, true);
    const isPrivate = (flags & FUTEX2_PRIVATE) !== 0;
    const size = flags & ~FUTEX2_PRIVATE;
    const reserved = waiter.getUint32(20, true);
    if (size !== FUTEX2_SIZE_U32 || reserved !== 0 || value >> 32n) {
      return -ERRNO.EINVAL;
    }
    const address = waiter.getBigUint64(8, true);
    asked.push({
      // Above 2^53 it is not exact, and no address of the program's.
      address: address % 4n === 0n ? Number(address) : -1,
      value: Number(value),
      isPrivate,
    });
  }
  return asked;
}

/** Whether all are the program's, and hold what it says: 0 or an errno. */
function check(linux: Linux, asked: readonly Asked[]): number {
  for (const { address, isPrivate } of asked) {
    if (address < 0) return -ERRNO.EINVAL;
    if (!linux.user.inRange(address, 4)) return -ERRNO.EFAULT;
    // Which memory it is has to be found out for one that is shared.
    if (!isPrivate && load(linux, address) < 0) return -ERRNO.EFAULT;
  }
  for (const { address, value } of asked) {
    const found = load(linux, address);
    if (found < 0) return found;
    if (found !== value) return -ERRNO.EAGAIN;
  }
  return 0;
}

/** The last futex that was woken; -1 where none was. */
function wokenOf(futexes: readonly FutexWait[]): number {
  return futexes.findLastIndex(({ isWoken }) => isWoken);
}

/** Goes on with a call that waits. */
function goOn(
  linux: Linux,
  futexes: FutexWait[],
  deadlineNs: number | null,
): number {
  const woken = wokenOf(futexes);
  const isLate = deadlineNs !== null && linux.clock.monotonicNs() >= deadlineNs;
  if (woken < 0 && !isLate) return linux.waitFor({ deadlineNs, futexes });
  linux.futexes.remove(linux.resumed!);
  return woken < 0 ? -ERRNO.ETIMEDOUT : woken;
}

/** Waiting at many futexes. */
export const futexWaitvCalls: SyscallTable = {
  futex_waitv(linux, args) {
    const { resumed } = linux;
    if (resumed?.futexes) {
      return goOn(linux, resumed.futexes, resumed.deadlineNs);
    }
    const count = args.uint(1);
    const clock = args.int(4);
    if (args.uint(2) !== 0) return -ERRNO.EINVAL;
    if (count === 0 || count > MAX_FUTEXES || args.u64(0) === 0) {
      return -ERRNO.EINVAL;
    }
    const timeoutVa = args.u64(3);
    if (
      timeoutVa !== 0 && clock !== CLOCK_REALTIME && clock !== CLOCK_MONOTONIC
    ) return -ERRNO.EINVAL;
    const end = deadlineOf(linux, timeoutVa, true, clock === CLOCK_REALTIME);
    if (typeof end === "number") return end;
    const asked = readAsked(linux, args.u64(0), count);
    if (typeof asked === "number") return asked;
    const checked = check(linux, asked);
    if (checked < 0) return checked;
    const { deadlineNs } = end;
    if (deadlineNs !== null && deadlineNs <= linux.clock.monotonicNs()) {
      return -ERRNO.ETIMEDOUT;
    }
    const futexes = asked.map(({ address }) => ({
      address,
      bitset: ANY_BITSET,
      isWoken: false,
    }));
    const result = linux.waitFor({ deadlineNs, futexes });
    linux.futexes.add(linux.task);
    return result;
  },
};
