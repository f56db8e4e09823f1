/**
 * What a signal says of itself: `siginfo_t` (asm-generic/siginfo.h).
 *
 * @module
 */

import type { Signaled } from "../faults.ts";

/** Bytes of a `siginfo_t`. */
export const INFO_BYTES = 128;

/** Where its fields are. */
export const INFO = {
  signal: 0,
  code: 8,
  /** Of kill and its kin; of a timer, its number. */
  pid: 16,
  /** Of kill and its kin; of a timer, how often it came besides. */
  uid: 20,
  /** The value that was sent along. */
  value: 24,
  /** Of a fault. */
  address: 16,
} as const;

/** Where a signal comes from: si_code. */
export const CODE = {
  user: 0,
  kernel: 0x80,
  queue: -1,
  timer: -2,
  tkill: -6,
} as const;

/** A signal that waits for delivery. */
export interface PendingSignal {
  /** Its number. */
  readonly signal: number;
  /** Its `siginfo_t`. */
  readonly info: Uint8Array;
}

function make(
  signal: number,
  code: number,
  fill?: (view: DataView) => void,
): PendingSignal {
  const view = new DataView(new ArrayBuffer(INFO_BYTES));
  view.setInt32(INFO.signal, signal, true);
  view.setInt32(INFO.code, code, true);
  fill?.(view);
  return { signal, info: new Uint8Array(view.buffer) };
}

/** A view of a `siginfo_t`. */
export function viewOfInfo({ info }: PendingSignal): DataView {
  return new DataView(info.buffer, info.byteOffset, info.byteLength);
}

/** One that somebody sent: `code` says how, `pid` and `uid` who. */
export function sentBy(
  signal: number,
  code: number,
  pid: number,
  uid: number,
): PendingSignal {
  return make(signal, code, (view) => {
    view.setInt32(INFO.pid, pid, true);
    view.setUint32(INFO.uid, uid, true);
  });
}

/** One from the kernel, of which there is nothing more to say. */
export function fromKernel(signal: number): PendingSignal {
  return make(signal, CODE.kernel);
}

/** One for what an instruction did, at `address`. */
export function forFault(
  { signal, address = 0n }: Signaled,
  code: number,
): PendingSignal {
  return make(
    signal,
    code,
    (view) => view.setBigUint64(INFO.address, address, true),
  );
}

/** One of a timer of timer_create's. */
export function fromTimer(
  signal: number,
  timer: number,
  value: bigint,
): PendingSignal {
  return make(signal, CODE.timer, (view) => {
    view.setInt32(INFO.pid, timer, true);
    view.setBigUint64(INFO.value, value, true);
  });
}
