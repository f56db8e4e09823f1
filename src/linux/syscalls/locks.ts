/**
 * System calls that lock files: flock, and fcntl's record locks.
 *
 * @module
 */

import {
  F_LCK,
  F_OFD,
  flock,
  FLOCK_BYTES,
  HostFile,
  O,
  type OpenFile,
  type PendingCall,
  recordLock,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { CallArguments } from "../trace.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Operations of flock(2). */
const LOCK = { shared: 1, exclusive: 2, doNotWait: 4, unlock: 8 } as const;

/** Commands of fcntl on locks (asm-generic/fcntl.h). */
const F = {
  getLk: 5,
  setLk: 6,
  setLkW: 7,
  ofdGetLk: 36,
  ofdSetLk: 37,
  ofdSetLkW: 38,
} as const;

const SEEK_CUR = 1;
const SEEK_END = 2;

/** Longest time between two looks whether a lock is free, ns. */
const MAX_WAIT_NS = 250e6;
const FIRST_WAIT_NS = 1e6;

/**
 * How often each call that waits for a lock has looked. It is no part of what
 * the call has done: one that is interrupted has done nothing.
 */
const looksOf = new WeakMap<PendingCall, number>();

/**
 * Waits for a lock that another holds. Nobody tells when a lock of the host's is
 * given back without a thread that waits for it, so it is looked at now and
 * then, more and more seldom, and when the program itself unlocks something.
 */
function waitForLock(linux: Linux): number {
  const looks = linux.resumed ? looksOf.get(linux.resumed) ?? 0 : 0;
  const ns = Math.min(FIRST_WAIT_NS * 2 ** Math.min(looks, 16), MAX_WAIT_NS);
  const deadlineNs = Math.floor(linux.clock.monotonicNs() + ns);
  const result = linux.waitFor({ deadlineNs });
  looksOf.set(linux.task.call!, looks + 1);
  return result;
}

/** Has those look again who wait for a lock: there may be one less. */
function unlocked({ scheduler }: Linux): void {
  for (const task of scheduler.blocked) {
    if (looksOf.has(task.call!)) scheduler.wake(task);
  }
}

/** Whether a command of fcntl is on record locks. */
export function isLockCommand(command: number): boolean {
  return Object.values(F).some((known) => known === command);
}

/** fcntl(2) with a command for which {@linkcode isLockCommand} holds. */
export function fcntlLock(
  linux: Linux,
  args: CallArguments,
  file: OpenFile,
): number {
  const command = args.int(1);
  const view = linux.user.readStruct(args.u64(2), FLOCK_BYTES);
  if (!view) return -ERRNO.EFAULT;
  const lock = new DataView(new ArrayBuffer(FLOCK_BYTES));
  for (let at = 0; at < FLOCK_BYTES; at += 8) {
    lock.setBigUint64(at, view.getBigUint64(at, true), true);
  }
  const isGet = command === F.getLk || command === F.ofdGetLk;
  const isOfd = command >= F.ofdGetLk;
  const type = lock.getInt16(0, true);
  if (isGet && type !== F_LCK.read && type !== F_LCK.write) {
    return -ERRNO.EINVAL;
  }
  if (isOfd && lock.getInt32(24, true) !== 0) return -ERRNO.EINVAL;
  if (!(file instanceof HostFile)) {
    return linux.unsupported(
      "fcntl",
      "a record lock on what is no file of the host's",
      -ERRNO.EINVAL,
    );
  }
  if (!isGet) {
    if (type === F_LCK.read && !file.isReadable) return -ERRNO.EBADF;
    if (type === F_LCK.write && !file.isWritable) return -ERRNO.EBADF;
  }
  // Whoever holds it has an offset of its own.
  if (lock.getInt16(2, true) === SEEK_CUR) {
    const at = BigInt(Math.max(file.seek(0, SEEK_CUR), 0));
    const start = lock.getBigInt64(8, true) + at;
    if (start > 0x7fff_ffff_ffff_ffffn) return -ERRNO.EOVERFLOW;
    lock.setInt16(2, 0, true);
    lock.setBigInt64(8, start, true);
  }
  lock.setInt32(24, 0, true);
  const fd = isOfd ? file.hostFd : linux.fds.locks.ownerOf(file);
  if (fd < 0) return -ERRNO.ENOLCK;
  if (!isGet) {
    const { fds } = linux;
    const given = type === F_LCK.unlock ? () => rangeOf(file, lock) : undefined;
    const isTooMany = fds.locks.isTooMany(() => fds.files(), fd, given);
    if (isTooMany) return -ERRNO.ENOLCK;
  }
  const bytes = new Uint8Array(lock.buffer);
  const result = recordLock(fd, isGet ? F_OFD.get : F_OFD.set, bytes);
  if (isGet && result >= 0) return giveLock(linux, args.u64(2), lock);
  if (result >= 0 && type === F_LCK.unlock) unlocked(linux);
  const waits = command === F.setLkW || command === F.ofdSetLkW;
  return result === -ERRNO.EAGAIN && waits ? waitForLock(linux) : result;
}

/** What a lock covers that counts from the file's begin or its end. */
function rangeOf(file: HostFile, lock: DataView) {
  const stat = new DataView(new ArrayBuffer(144));
  const isFromEnd = lock.getInt16(2, true) === SEEK_END &&
    file.stat(new Uint8Array(stat.buffer)) >= 0;
  const sizeBytes = isFromEnd ? stat.getBigInt64(48, true) : 0n;
  const start = lock.getBigInt64(8, true) + sizeBytes;
  const lengthBytes = lock.getBigInt64(16, true);
  // A negative length is what lies before.
  return lengthBytes < 0n
    ? { start: start + lengthBytes, lengthBytes: -lengthBytes }
    : { start, lengthBytes };
}

/** Tells which lock is in the way. */
function giveLock(
  linux: Linux,
  va: number,
  lock: DataView,
): number {
  if (lock.getInt16(0, true) === F_LCK.unlock) {
    // Nothing else of it changes.
    const type = linux.user.readStruct(va, FLOCK_BYTES);
    if (!type) return -ERRNO.EFAULT;
    const copy = new DataView(type.buffer.slice(0, FLOCK_BYTES));
    copy.setInt16(0, F_LCK.unlock, true);
    return linux.user.writeStruct(va, copy);
  }
  // Processes of the host are not the program's to know: as of those outside of
  // a PID namespace, their number is 0.
  if (lock.getInt32(24, true) > 0) lock.setInt32(24, 0, true);
  return linux.user.writeStruct(va, lock);
}

/** Bit of flock's operation that once made a lock mandatory (fs/locks.c). */
const LOCK_MAND = 32;

/** Calls that lock files. */
export const lockCalls: SyscallTable = {
  flock(linux, args) {
    const operation = args.int(1);
    // Mandatory locks are no more: asking for one does nothing, on any number.
    if (operation & LOCK_MAND) return 0;
    const what = operation & ~LOCK.doNotWait;
    const isKnown = what === LOCK.shared || what === LOCK.exclusive ||
      what === LOCK.unlock;
    if (!isKnown) return -ERRNO.EINVAL;
    const file = linux.fds.file(args.int(0));
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    // What is the VM's own has no other user.
    if (!(file instanceof HostFile)) return 0;
    const result = flock(file.hostFd, what | LOCK.doNotWait);
    if (what === LOCK.unlock) unlocked(linux);
    const waits = (operation & LOCK.doNotWait) === 0;
    return result === -ERRNO.EAGAIN && waits ? waitForLock(linux) : result;
  },
};

/** What they lack. */
export const lockPartly = {
  flock:
    "it has no effect on what is no file of the host; who waits looks again after 1 ms, 2 ms and so on, at last every 250 ms",
} as const satisfies PartlyTable;
