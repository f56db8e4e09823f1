/**
 * Restartable sequences: code that a task must not be taken away from the CPU
 * in, or else begins anew (rseq(2), linux/rseq.h).
 *
 * @module
 */

import type { Registers } from "./registers.ts";
import type { Task } from "./task.ts";
import type { UserMemory } from "./user_memory.ts";

/** Where `struct rseq` points to the sequence under way. */
const RSEQ_CS = 8;

/** Bytes of `struct rseq_cs`: version, flags, start, length, where to go. */
const RSEQ_CS_BYTES = 32;

/** First address that no program can run at. */
const CODE_END = 1n << 47n;

/**
 * Has a task that loses the CPU begin its restartable sequence anew, if it is
 * in one.
 *
 * @returns false when what the program says of it makes no sense, for which
 * Linux ends it with SIGSEGV
 */
export function abortRestartable(
  { state: { rseq } }: Task,
  registers: Registers,
  user: UserMemory,
): boolean {
  if (rseq.address === 0) return true;
  const pointer = user.readStruct(rseq.address + RSEQ_CS, 8);
  if (!pointer) return false;
  const va = pointer.getBigUint64(0, true);
  if (va === 0n) return true;
  if (va >= CODE_END) return false;
  const sequence = user.readStruct(Number(va), RSEQ_CS_BYTES);
  if (!sequence || sequence.getUint32(0, true) !== 0) return false;
  const start = sequence.getBigUint64(8, true);
  const length = sequence.getBigUint64(16, true);
  const abort = sequence.getBigUint64(24, true);
  const isInside = BigInt.asUintN(64, registers.rip - start) < length;
  const zero = new DataView(new ArrayBuffer(8));
  if (!isInside) {
    return user.writeStruct(rseq.address + RSEQ_CS, zero) === 0;
  }
  if (abort >= CODE_END || BigInt.asUintN(64, abort - start) < length) {
    return false;
  }
  const signature = user.readStruct(Number(abort) - 4, 4);
  if (signature?.getUint32(0, true) !== rseq.signature) return false;
  if (user.writeStruct(rseq.address + RSEQ_CS, zero) < 0) return false;
  registers.rip = abort;
  return true;
}
