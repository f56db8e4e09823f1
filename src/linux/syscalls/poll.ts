/**
 * System calls that wait for any of several descriptors: poll, select and their
 * kin.
 *
 * @module
 */

import { MAX_DESCRIPTORS, O, POLL } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { CallArguments } from "../trace.ts";
import { WAITING } from "../call_results.ts";
import type { Linux } from "../linux.ts";
import { descriptorLimit } from "./limits.ts";
import type { SyscallTable } from "./mod.ts";
import { setCallMask } from "./signals.ts";

/** poll and ppoll, with the time at which they end at the latest. */
function poll(
  linux: Linux,
  va: number,
  count: number,
  deadlineNs: () => number | null,
): number {
  if (count > descriptorLimit(linux)) return -ERRNO.EINVAL;
  const entries = new DataView(new ArrayBuffer(count * 8));
  const bytes = new Uint8Array(entries.buffer);
  if (count > 0 && !linux.user.read(va, bytes)) return -ERRNO.EFAULT;
  let ready = 0;
  const waitsFor: { descriptor: number; events: number }[] = [];
  for (let i = 0; i < count; i++) {
    const fd = entries.getInt32(i * 8, true);
    const events = entries.getInt16(i * 8 + 4, true) & 0xffff;
    let got = 0;
    if (fd >= 0) {
      const file = linux.fds.file(fd);
      if (!file || file.flags & O.path) got = POLL.nval;
      else {
        got = file.poll(events);
        waitsFor.push({ descriptor: fd, events });
      }
    }
    entries.setInt16(i * 8 + 6, got, true);
    if (got !== 0) ready++;
  }
  const resumed = linux.resumed;
  const deadline = resumed ? resumed.deadlineNs : deadlineNs();
  const expired = deadline !== null && linux.clock.monotonicNs() >= deadline;
  if (ready === 0 && !expired) {
    return linux.waitFor({ waitsFor, deadlineNs: deadline });
  }
  if (!linux.user.inRange(va, 0)) return -ERRNO.EFAULT;
  if (count > 0 && !linux.user.write(va, bytes)) return -ERRNO.EFAULT;
  return ready;
}

/** When a call ends at the latest. */
export interface Deadline {
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly deadlineNs: number;
  /** Whether it is to end at once. */
  readonly isNow: boolean;
}

/**
 * When a call ends: reads a `struct timespec`, or a `struct timeval` with
 * `unitNs` 1000; or gives a negative errno.
 */
export function deadlineOf(
  linux: Linux,
  va: number,
  unitNs: 1 | 1000,
): Deadline | number {
  // One that goes on has read it, whatever is in memory now.
  const waited = linux.resumed?.deadlineNs ?? null;
  if (waited !== null) return { deadlineNs: waited, isNow: false };
  const time = linux.user.readStruct(va, 16);
  if (!time) return -ERRNO.EFAULT;
  let seconds = Number(time.getBigInt64(0, true));
  let nanoseconds = Number(time.getBigInt64(8, true));
  if (unitNs === 1000) {
    // Linux takes more than a second of microseconds.
    seconds += Math.trunc(nanoseconds / 1e6);
    nanoseconds = nanoseconds % 1e6 * 1000;
  }
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= 1e9) {
    return -ERRNO.EINVAL;
  }
  return {
    deadlineNs: linux.clock.deadlineNs(seconds, nanoseconds),
    isNow: seconds === 0 && nanoseconds === 0,
  };
}

/** What select's three sets ask, and what poll must say for it (fs/select.c). */
const SETS = [
  {
    events: POLL.in | POLL.readNormal | POLL.readBand,
    ready: POLL.in | POLL.readNormal | POLL.readBand | POLL.hup | POLL.err |
      POLL.nval,
  },
  {
    events: POLL.out | POLL.writeNormal | POLL.writeBand,
    ready: POLL.out | POLL.writeNormal | POLL.writeBand | POLL.err | POLL.nval,
  },
  { events: POLL.pri, ready: POLL.pri | POLL.nval },
] as const;

/** select and pselect6, with the time at which they end at the latest. */
function select(
  linux: Linux,
  args: CallArguments,
  end: Deadline | undefined,
): number {
  if (args.int(0) < 0) return -ERRNO.EINVAL;
  // Linux, too, looks no further than its table of open files reaches.
  const count = Math.min(args.int(0), MAX_DESCRIPTORS);
  const lengthBytes = Math.ceil(count / 64) * 8;
  const asked: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  for (let i = 0; i < SETS.length; i++) {
    const va = args.u64(1 + i);
    const set = va === 0 ? undefined : new Uint8Array(lengthBytes);
    if (set && lengthBytes > 0 && !linux.user.read(va, set)) {
      return -ERRNO.EFAULT;
    }
    asked.push(set);
  }
  const given = asked.map((set) => set && new Uint8Array(lengthBytes));
  const waitsFor: { descriptor: number; events: number }[] = [];
  let ready = 0;
  for (let fd = 0; fd < count; fd++) {
    const at = fd >> 3;
    const bit = 1 << (fd & 7);
    const wanted = SETS.filter((_, i) => (asked[i]?.[at] ?? 0) & bit);
    if (wanted.length === 0) continue;
    const file = linux.fds.file(fd);
    if (!file) return -ERRNO.EBADF;
    const events = wanted.reduce((sum, set) => sum | set.events, 0);
    const got = file.flags & O.path ? POLL.nval : file.poll(events);
    SETS.forEach((set, i) => {
      if (!wanted.includes(set) || (got & set.ready) === 0) return;
      given[i]![at] |= bit;
      ready++;
    });
    // What holds already and is not asked for would end each wait at once.
    if (got === 0) waitsFor.push({ descriptor: fd, events });
  }
  const deadlineNs = linux.resumed
    ? linux.resumed.deadlineNs
    : end?.deadlineNs ?? null;
  const expired = deadlineNs !== null &&
    linux.clock.monotonicNs() >= deadlineNs;
  if (ready === 0 && !expired) {
    return linux.waitFor({ waitsFor, deadlineNs });
  }
  for (const [i, set] of given.entries()) {
    if (!set || lengthBytes === 0) continue;
    if (!linux.user.write(args.u64(1 + i), set)) return -ERRNO.EFAULT;
  }
  return ready;
}

/**
 * Tells the program how much was left of its time, as Linux does; where it may
 * not be written, it is not.
 */
function giveTimeLeft(
  linux: Linux,
  va: number,
  deadlineNs: number,
  unitNs: 1 | 1000,
): void {
  const leftNs = Math.max(0, deadlineNs - linux.clock.monotonicNs());
  const time = new DataView(new ArrayBuffer(16));
  time.setBigInt64(0, BigInt(Math.floor(leftNs / 1e9)), true);
  time.setBigInt64(8, BigInt(Math.floor(leftNs % 1e9 / unitNs)), true);
  linux.user.writeStruct(va, time);
}

/** select and pselect6 from their time on; `setMask` sets the mask, if any. */
function timedSelect(
  linux: Linux,
  args: CallArguments,
  unitNs: 1 | 1000,
  setMask: () => number,
): number {
  const timeVa = args.u64(4);
  const end = timeVa === 0 ? undefined : deadlineOf(linux, timeVa, unitNs);
  if (typeof end === "number") return end;
  const maskFault = setMask();
  if (maskFault < 0) return maskFault;
  const result = select(linux, args, end);
  if (end && !end.isNow && result !== WAITING) {
    const deadlineNs = linux.resumed?.deadlineNs ?? end.deadlineNs;
    giveTimeLeft(linux, timeVa, deadlineNs, unitNs);
  }
  return result;
}

/** Calls that wait for any of several descriptors. */
export const pollCalls: SyscallTable = {
  poll(linux, args) {
    const timeoutMs = args.int(2);
    return poll(
      linux,
      args.u64(0),
      args.uint(1),
      () => timeoutMs < 0 ? null : linux.clock.monotonicNs() + timeoutMs * 1e6,
    );
  },
  ppoll(linux, args) {
    const timeVa = args.u64(2);
    const setMask = () => setCallMask(linux, args.u64(3), args.u64(4));
    if (timeVa === 0) {
      const maskFault = setMask();
      if (maskFault < 0) return maskFault;
      return poll(linux, args.u64(0), args.uint(1), () => null);
    }
    const end = deadlineOf(linux, timeVa, 1);
    if (typeof end !== "object") return end;
    const maskFault = setMask();
    if (maskFault < 0) return maskFault;
    return poll(linux, args.u64(0), args.uint(1), () => end.deadlineNs);
  },
  select(linux, args) {
    return timedSelect(linux, args, 1000, () => 0);
  },
  pselect6(linux, args) {
    // The mask comes as a structure: its address and its length.
    const packVa = args.u64(5);
    const hasPack = packVa !== 0 && !linux.resumed;
    const pack = hasPack ? linux.user.readStruct(packVa, 16) : undefined;
    if (hasPack && !pack) return -ERRNO.EFAULT;
    const maskVa = Number(pack?.getBigUint64(0, true) ?? 0);
    const maskBytes = Number(pack?.getBigUint64(8, true) ?? 0);
    return timedSelect(
      linux,
      args,
      1,
      () => setCallMask(linux, maskVa, maskBytes),
    );
  },
};
