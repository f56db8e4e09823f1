/**
 * System calls on what signals do: actions, masks, the stack for handlers, and
 * the way back from one.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { OUTCOME } from "../../vmm/mod.ts";
import { SIGNAL } from "../faults.ts";
import { KEPT, LEFT } from "../call_results.ts";
import type { Linux } from "../linux.ts";
import {
  setStack,
  shownFlags,
  STACK_T_BYTES,
  writeStack,
} from "../signals/alternate_stack.ts";
import { CODE } from "../signals/info.ts";
import { bitOf, isSignal, KNOWN_FLAGS, UNBLOCKABLE } from "../signals/sets.ts";
import type { SyscallTable } from "./mod.ts";

/** How to change the mask (asm-generic/signal-defs.h). */
const SIG_BLOCK = 0;
const SIG_UNBLOCK = 1;
const SIG_SETMASK = 2;

/** Bytes of a set of signals. */
export const SET_BYTES = 8;

/** Reads a set of signals; `undefined` where the program may not. */
export function readSet(linux: Linux, va: number): bigint | undefined {
  return linux.user.readStruct(va, SET_BYTES)?.getBigUint64(0, true);
}

/**
 * Has the call that is being handled block the signals of a set, while it
 * waits, instead of those that are blocked.
 *
 * @param va where the set is; 0: there is none
 * @returns 0 or a negative errno
 */
export function setCallMask(
  linux: Linux,
  va: number,
  lengthBytes: number,
): number {
  // One that goes on has it already, whatever is in memory now.
  if (va === 0 || linux.resumed) return 0;
  if (lengthBytes !== SET_BYTES) return -ERRNO.EINVAL;
  const mask = readSet(linux, va);
  if (mask === undefined) return -ERRNO.EFAULT;
  linux.signals.setTemporaryMask(mask);
  return 0;
}

/** Writes a set of signals: 0 or -EFAULT. */
function writeSet(linux: Linux, va: number, set: bigint): number {
  const view = new DataView(new ArrayBuffer(SET_BYTES));
  view.setBigUint64(0, set, true);
  return linux.user.writeStruct(va, view);
}

/** Calls on what signals do. */
export const signalCalls: SyscallTable = {
  rt_sigaction(linux, args) {
    const signal = args.int(0);
    const newVa = args.u64(1);
    const oldVa = args.u64(2);
    if (args.u64(3) !== SET_BYTES) return -ERRNO.EINVAL;
    // struct sigaction of the kernel: handler, flags, restorer, mask.
    const given = newVa === 0 ? undefined : linux.user.readStruct(newVa, 32);
    if (newVa !== 0 && !given) return -ERRNO.EFAULT;
    if (!isSignal(signal)) return -ERRNO.EINVAL;
    const isFixed = signal === SIGNAL.SIGKILL || signal === SIGNAL.SIGSTOP;
    if (given && isFixed) return -ERRNO.EINVAL;
    const { signalActions } = linux.process;
    const old = signalActions.get(signal);
    if (given) {
      const action = {
        signal,
        handler: given.getBigUint64(0, true),
        // As programs find out which flags there are.
        flags: given.getBigUint64(8, true) & KNOWN_FLAGS,
        restorer: given.getBigUint64(16, true),
        mask: given.getBigUint64(24, true) & ~UNBLOCKABLE,
      };
      const isDefault = action.handler === 0n && action.flags === 0n &&
        action.restorer === 0n && action.mask === 0n;
      if (isDefault) signalActions.delete(signal);
      else signalActions.set(signal, action);
      // What would be ignored waits no longer.
      const { signals } = linux;
      if (signals.effect(signal) === "nothing") signals.discard(bitOf(signal));
    }
    if (oldVa === 0) return 0;
    const view = new DataView(new ArrayBuffer(32));
    view.setBigUint64(0, old?.handler ?? 0n, true);
    view.setBigUint64(8, old?.flags ?? 0n, true);
    view.setBigUint64(16, old?.restorer ?? 0n, true);
    view.setBigUint64(24, old?.mask ?? 0n, true);
    return linux.user.writeStruct(oldVa, view);
  },
  rt_sigprocmask(linux, args) {
    const how = args.int(0);
    const newVa = args.u64(1);
    const oldVa = args.u64(2);
    if (args.u64(3) !== SET_BYTES) return -ERRNO.EINVAL;
    const { state } = linux.task;
    const old = state.signalMask;
    if (newVa !== 0) {
      const set = readSet(linux, newVa);
      if (set === undefined) return -ERRNO.EFAULT;
      let mask: bigint;
      if (how === SIG_BLOCK) mask = old | set;
      else if (how === SIG_UNBLOCK) mask = old & ~set;
      else if (how === SIG_SETMASK) mask = set;
      else return -ERRNO.EINVAL;
      state.signalMask = mask & ~UNBLOCKABLE;
    }
    return oldVa === 0 ? 0 : writeSet(linux, oldVa, old);
  },
  rt_sigpending(linux, args) {
    if (args.u64(1) > SET_BYTES) return -ERRNO.EINVAL;
    const { task } = linux;
    const set = linux.signals.pending(task) & task.state.signalMask;
    const bytes = new Uint8Array(new BigUint64Array([set]).buffer);
    return linux.user.write(args.u64(0), bytes, args.u64(1))
      ? 0
      : -ERRNO.EFAULT;
  },
  rt_sigreturn(linux) {
    if (linux.signals.returnFromHandler()) return KEPT;
    const { rip } = linux.registers;
    const signaled = {
      signal: SIGNAL.SIGSEGV,
      what: "return from a signal handler that cannot be gone on with",
      address: 0n,
      rip,
    };
    const outcome = linux.signals.force({ signaled, code: CODE.kernel });
    return outcome === OUTCOME.stop ? LEFT : KEPT;
  },
  sigaltstack(linux, args) {
    const newVa = args.u64(0);
    const oldVa = args.u64(1);
    const { state } = linux.task;
    const pointer = linux.registers.get("rsp");
    const old = { ...state.signalStack };
    const flags = shownFlags(old, pointer);
    if (newVa !== 0) {
      const view = linux.user.readStruct(newVa, STACK_T_BYTES);
      if (!view) return -ERRNO.EFAULT;
      const result = setStack(state, view, 0, pointer);
      if (result < 0) return result;
    }
    if (oldVa === 0) return 0;
    const view = new DataView(new ArrayBuffer(STACK_T_BYTES));
    writeStack(view, 0, old, flags);
    return linux.user.writeStruct(oldVa, view);
  },
};
