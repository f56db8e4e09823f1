/**
 * The stack that a task has for its signal handlers (sigaltstack(2)).
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { TaskState } from "../task.ts";

/** Flags (linux/signal.h). */
export const SS = {
  onStack: 1,
  disable: 2,
  /** SS_AUTODISARM. */
  autoDisarm: 0x8000_0000 | 0,
} as const;

/** Least size. */
const MINSIGSTKSZ = 2048;

/** Bytes of a `stack_t`: address, flags, size. */
export const STACK_T_BYTES = 24;

type SignalStack = TaskState["signalStack"];

/** No stack. */
export function noStack(): SignalStack {
  return { address: 0, sizeBytes: 0, flags: SS.disable };
}

/** Whether a stack pointer is on the stack for handlers. */
export function isWithin(
  { address, sizeBytes }: SignalStack,
  pointer: bigint,
): boolean {
  const base = BigInt(address);
  return pointer > base && pointer - base <= BigInt(sizeBytes);
}

/** Whether a task runs on its stack for handlers. */
export function isOnStack(stack: SignalStack, pointer: bigint): boolean {
  return !(stack.flags & SS.autoDisarm) && isWithin(stack, pointer);
}

/** A `stack_t`. @param flags which it has */
export function writeStack(
  view: DataView,
  at: number,
  { address, sizeBytes }: SignalStack,
  flags: number,
): void {
  view.setBigUint64(at, BigInt(address), true);
  view.setInt32(at + 8, flags, true);
  view.setInt32(at + 12, 0, true);
  view.setBigUint64(at + 16, BigInt(sizeBytes), true);
}

/** The flags that sigaltstack shows. */
export function shownFlags(stack: SignalStack, pointer: bigint): number {
  const state = stack.sizeBytes === 0
    ? SS.disable
    : isOnStack(stack, pointer)
    ? SS.onStack
    : 0;
  return state | stack.flags & SS.autoDisarm;
}

/**
 * Sets the stack to the `stack_t` at `at`.
 *
 * @param pointer the task's stack pointer
 * @returns 0 or a negative errno
 */
export function setStack(
  state: TaskState | Omit<TaskState, "registers">,
  view: DataView,
  at: number,
  pointer: bigint,
): number {
  const old = state.signalStack;
  if (isOnStack(old, pointer)) return -ERRNO.EPERM;
  const flags = view.getInt32(at + 8, true);
  const mode = flags & ~SS.autoDisarm;
  if (mode !== 0 && mode !== SS.onStack && mode !== SS.disable) {
    return -ERRNO.EINVAL;
  }
  if (mode === SS.disable) {
    state.signalStack = { address: 0, sizeBytes: 0, flags: flags >>> 0 };
    return 0;
  }
  const most = 0xffff_ffff_ffffn;
  const clamp = (n: bigint) => Number(n > most ? most : n);
  const address = clamp(view.getBigUint64(at, true));
  const sizeBytes = clamp(view.getBigUint64(at + 16, true));
  if (sizeBytes < MINSIGSTKSZ) return -ERRNO.ENOMEM;
  state.signalStack = { address, sizeBytes, flags: flags >>> 0 };
  return 0;
}
