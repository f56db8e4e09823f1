/**
 * Signals as bits of a set, and what they do where nobody handles them.
 *
 * @module
 */

import { SIGNAL } from "../faults.ts";

/** Handlers that are none (asm-generic/signal-defs.h). */
export const SIG_DFL = 0n;
/** Ignored. */
export const SIG_IGN = 1n;

/** Flags of sigaction (asm/signal.h). */
export const SA = {
  restorer: 0x0400_0000n,
  onStack: 0x0800_0000n,
  restart: 0x1000_0000n,
  noDefer: 0x4000_0000n,
  resetHandler: 0x8000_0000n,
} as const;

/** All of them: those above, SA_NOCLDSTOP to SA_SIGINFO, SA_EXPOSE_TAGBITS. */
export const KNOWN_FLAGS = 0xdc00_0807n;

/** The first of the realtime signals, which queue. */
export const FIRST_REALTIME = 32;

/** The signal's bit in a set. */
export function bitOf(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/** A set of signals. */
export function setOf(signals: readonly number[]): bigint {
  return signals.reduce((set, signal) => set | bitOf(signal), 0n);
}

/** SIGKILL and SIGSTOP cannot be blocked. */
export const UNBLOCKABLE: bigint = setOf([SIGNAL.SIGKILL, SIGNAL.SIGSTOP]);

/** What the kernel raises for what an instruction did: delivered first. */
export const SYNCHRONOUS: bigint = setOf([
  SIGNAL.SIGSEGV,
  SIGNAL.SIGBUS,
  SIGNAL.SIGILL,
  SIGNAL.SIGTRAP,
  SIGNAL.SIGFPE,
  SIGNAL.SIGSYS,
]);

/** Signals that stop a process by default (signal(7)). */
export const STOPPING: bigint = setOf([
  SIGNAL.SIGSTOP,
  SIGNAL.SIGTSTP,
  SIGNAL.SIGTTIN,
  SIGNAL.SIGTTOU,
]);

/** Signals that do nothing by default (signal(7)). */
export const IGNORED_BY_DEFAULT: bigint = setOf([
  SIGNAL.SIGCHLD,
  SIGNAL.SIGCONT,
  SIGNAL.SIGURG,
  SIGNAL.SIGWINCH,
]);

/** Whether it is the number of a signal. */
export function isSignal(signal: number): boolean {
  return signal >= 1 && signal <= 64;
}
