/**
 * What Linux makes of an exception: a signal.
 *
 * @module
 */

import { KERNEL_BLOCK, type Memory } from "../vmm/mod.ts";
import type { ExceptionFrame } from "./registers.ts";

/** Signals, by name (signal(7), x86). */
export const SIGNAL = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

/** Vectors that push an error code (Intel SDM volume 3, table 6-1). */
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);

/** The vector of a page fault. */
export const PAGE_FAULT = 14;

/** Bits of a page fault's error code (Intel SDM volume 3, figure 4-12). */
export const PAGE_FAULT_ERROR = {
  present: 1,
  write: 2,
  reserved: 8,
  fetch: 16,
} as const;

/** Each vector's signal and what happened, as Linux's traps.c has it. */
const SIGNALS: Record<number, readonly [number: number, what: string]> = {
  0: [SIGNAL.SIGFPE, "divide error"],
  1: [SIGNAL.SIGTRAP, "debug exception"],
  3: [SIGNAL.SIGTRAP, "breakpoint"],
  4: [SIGNAL.SIGSEGV, "overflow"],
  5: [SIGNAL.SIGSEGV, "bounds"],
  6: [SIGNAL.SIGILL, "invalid opcode"],
  7: [SIGNAL.SIGSEGV, "device not available"],
  9: [SIGNAL.SIGFPE, "coprocessor segment overrun"],
  10: [SIGNAL.SIGSEGV, "invalid TSS"],
  11: [SIGNAL.SIGBUS, "segment not present"],
  12: [SIGNAL.SIGBUS, "stack segment"],
  13: [SIGNAL.SIGSEGV, "general protection fault"],
  14: [SIGNAL.SIGSEGV, "page fault"],
  16: [SIGNAL.SIGFPE, "x87 floating-point exception"],
  17: [SIGNAL.SIGBUS, "alignment check"],
  19: [SIGNAL.SIGFPE, "SIMD floating-point exception"],
};

/** Reads the frame of an exception with `vector` from the exception stack. */
export function readExceptionFrame(
  memory: Memory,
  vector: number,
): ExceptionFrame {
  const { view } = memory;
  // The CPU pushes from RSP0 downwards: SS, RSP, RFLAGS, CS, RIP, error code.
  const end = KERNEL_BLOCK.stackEnd;
  return {
    errorCode: WITH_ERROR_CODE.has(vector) ? view.getUint32(end - 48, true) : 0,
    rip: view.getBigUint64(end - 40, true),
    fromUser: (view.getUint32(end - 32, true) & 3) === 3,
    rflags: view.getUint32(end - 24, true),
    rsp: view.getBigUint64(end - 16, true),
  };
}

/** How a program ended by a signal. */
export interface Signaled {
  /** The signal's number. */
  readonly signal: number;
  /** What happened. */
  readonly what: string;
  /** The address that was used, where there was one. */
  readonly address?: bigint;
  /** Where the program was. */
  readonly rip: bigint;
}

/** What Linux would report for an exception that nobody handles. */
export function signalOf(
  vector: number,
  frame: ExceptionFrame,
  faultAddress: bigint,
): Signaled {
  const [signal, what] = SIGNALS[vector] ??
    [SIGNAL.SIGSEGV, `exception ${vector}`];
  const { rip } = frame;
  if (vector === PAGE_FAULT) {
    return { signal, what, address: faultAddress, rip };
  }
  // si_addr is the instruction for these, and 0 for the others (SI_KERNEL).
  const address = [0, 1, 6, 16, 19].includes(vector) ? rip : 0n;
  return { signal, what, address, rip };
}

/** What Linux would report for a page beyond the end of the file it maps. */
export function beyondFile(frame: ExceptionFrame, address: bigint): Signaled {
  const what = "access beyond the end of a mapped file";
  return { signal: SIGNAL.SIGBUS, what, address, rip: frame.rip };
}

/** The name of a signal: "SIGSEGV". */
export function signalName(signal: number): string {
  const found = Object.entries(SIGNAL).find(([, number]) => number === signal);
  return found?.[0] ?? `SIGRTMIN+${signal - 34}`;
}
