/**
 * What a read of a file of signals gives of one: `struct signalfd_siginfo`
 * (linux/signalfd.h).
 *
 * @module
 */

import { SIGNAL } from "../faults.ts";
import {
  CODE,
  INFO,
  INFO_BYTES,
  type PendingSignal,
  viewOfInfo,
} from "./info.ts";
import { bitOf, SYNCHRONOUS } from "./sets.ts";

/** Where fields of the record are. */
const RECORD = {
  signal: 0,
  errno: 4,
  code: 8,
  pid: 12,
  uid: 16,
  fd: 20,
  tid: 24,
  band: 28,
  overrun: 32,
  status: 40,
  int: 44,
  pointer: 48,
  userTime: 56,
  systemTime: 64,
  address: 72,
} as const;

/** si_errno, and fields of a child and of a file, in a `siginfo_t`. */
const ERROR = 4;
const CHILD = { status: 24, userTime: 32, systemTime: 40 } as const;
const FILE = { band: 16, fd: 24 } as const;

/** Codes from here on are of what the kernel sends for no signal alone. */
const SI_SIGIO = -5;

/** The record of a signal. */
export function recordOf(signal: PendingSignal): Uint8Array<ArrayBuffer> {
  const info = viewOfInfo(signal);
  const record = new DataView(new ArrayBuffer(INFO_BYTES));
  const code = info.getInt32(INFO.code, true);
  const copy = (from: number, to: number) =>
    record.setInt32(to, info.getInt32(from, true), true);
  const copyLong = (from: number, to: number) =>
    record.setBigUint64(to, info.getBigUint64(from, true), true);
  copy(INFO.signal, RECORD.signal);
  copy(ERROR, RECORD.errno);
  copy(INFO.code, RECORD.code);
  // siginfo_layout of kernel/signal.c.
  const isOwn = code > CODE.user && code < CODE.kernel;
  if (isOwn && bitOf(signal.signal) & SYNCHRONOUS) {
    copyLong(INFO.address, RECORD.address);
  } else if (code === SI_SIGIO || isOwn && signal.signal === SIGNAL.SIGIO) {
    copy(FILE.band, RECORD.band);
    copy(FILE.fd, RECORD.fd);
  } else if (code === CODE.timer) {
    copy(INFO.pid, RECORD.tid);
    copy(INFO.uid, RECORD.overrun);
    copyValue();
  } else {
    copy(INFO.pid, RECORD.pid);
    copy(INFO.uid, RECORD.uid);
    if (isOwn && signal.signal === SIGNAL.SIGCHLD) {
      copy(CHILD.status, RECORD.status);
      copyLong(CHILD.userTime, RECORD.userTime);
      copyLong(CHILD.systemTime, RECORD.systemTime);
    } else if (code < 0) copyValue();
  }
  return new Uint8Array(record.buffer);

  function copyValue(): void {
    copyLong(INFO.value, RECORD.pointer);
    copy(INFO.value, RECORD.int);
  }
}
