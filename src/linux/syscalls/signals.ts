/**
 * System calls on signals: as far as a program needs them that does not rely on
 * a handler being called.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { SIGNAL, signalName } from "../faults.ts";
import { LEFT, type Linux } from "../linux.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** SIG_IGN. */
const IGNORE = 1n;

/** How to change the mask (asm-generic/signal-defs.h). */
const SIG_BLOCK = 0;
const SIG_UNBLOCK = 1;
const SIG_SETMASK = 2;

/** SIGKILL and SIGSTOP cannot be blocked. */
const UNBLOCKABLE = 1n << 8n | 1n << 18n;

/** Signals that do nothing by default (signal(7)). */
const IGNORED_BY_DEFAULT = new Set<number>([
  SIGNAL.SIGCHLD,
  SIGNAL.SIGCONT,
  SIGNAL.SIGURG,
  SIGNAL.SIGWINCH,
]);

/** Flags of sigaltstack (linux/signal.h). */
const SS_DISABLE = 2;
const MINSIGSTKSZ = 2048;

/**
 * Sends `signal` to the program.
 *
 * @param what why, for the user
 * @returns 0, LEFT when it ended the program, or a negative errno when it would
 * have to do what is not supported
 */
export function raise(
  linux: Linux,
  signal: number,
  what = "raised by the program",
): number {
  if (signal === 0) return 0;
  const { state } = linux.task;
  const action = linux.process.signalActions.get(signal);
  const bit = bitOf(signal);
  // Blocked ones wait, even those that would be ignored: that can change.
  if (state.signalMask & bit) {
    state.signalsPending |= bit;
    return 0;
  }
  if (action && action.handler === IGNORE) return 0;
  if (action && action.handler !== 0n) {
    return linux.unsupported(
      `calling a signal handler (${signalName(signal)})`,
      -ERRNO.ENOSYS,
    );
  }
  if (IGNORED_BY_DEFAULT.has(signal)) return 0;
  return linux.kill({ signal, what, rip: linux.registers.rip });
}

/** Raises the signals that waited and are blocked no longer. */
function raisePending(linux: Linux): number {
  const { state } = linux.task;
  for (let signal = 1; signal <= 64; signal++) {
    const bit = bitOf(signal);
    if (!(state.signalsPending & ~state.signalMask & bit)) continue;
    state.signalsPending &= ~bit;
    const result = raise(linux, signal);
    if (result === LEFT) return result;
  }
  return 0;
}

/** The signal's bit in a mask. */
function bitOf(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

function isSignal(signal: number): boolean {
  return signal >= 0 && signal <= 64;
}

/** Calls on signals. */
export const signalCalls: SyscallTable = {
  rt_sigaction(linux, args) {
    const signal = args.int(0);
    const newVa = args.u64(1);
    const oldVa = args.u64(2);
    if (args.u64(3) !== 8) return -ERRNO.EINVAL;
    if (signal < 1 || signal > 64) return -ERRNO.EINVAL;
    const unchangeable = signal === SIGNAL.SIGKILL ||
      signal === SIGNAL.SIGSTOP;
    if (newVa !== 0 && unchangeable) return -ERRNO.EINVAL;
    const { signalActions } = linux.process;
    const old = signalActions.get(signal);
    if (newVa !== 0) {
      // struct sigaction of the kernel: handler, flags, restorer, mask.
      const view = linux.user.readStruct(newVa, 32);
      if (!view) return -ERRNO.EFAULT;
      const action = {
        signal,
        handler: view.getBigUint64(0, true),
        flags: view.getBigUint64(8, true),
        restorer: view.getBigUint64(16, true),
        mask: view.getBigUint64(24, true) & ~UNBLOCKABLE,
      };
      const isDefault = action.handler === 0n && action.flags === 0n &&
        action.restorer === 0n && action.mask === 0n;
      if (isDefault) signalActions.delete(signal);
      else signalActions.set(signal, action);
      // What would be ignored waits no longer.
      const ignored = action.handler === IGNORE ||
        (action.handler === 0n && IGNORED_BY_DEFAULT.has(signal));
      if (ignored) linux.task.state.signalsPending &= ~bitOf(signal);
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
    if (args.u64(3) !== 8) return -ERRNO.EINVAL;
    const { state } = linux.task;
    const old = state.signalMask;
    if (newVa !== 0) {
      const view = linux.user.readStruct(newVa, 8);
      if (!view) return -ERRNO.EFAULT;
      const set = view.getBigUint64(0, true);
      let mask: bigint;
      if (how === SIG_BLOCK) mask = old | set;
      else if (how === SIG_UNBLOCK) mask = old & ~set;
      else if (how === SIG_SETMASK) mask = set;
      else return -ERRNO.EINVAL;
      state.signalMask = mask & ~UNBLOCKABLE & 0xffff_ffff_ffff_ffffn;
    }
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, old, true);
    const written = oldVa === 0 ? 0 : linux.user.writeStruct(oldVa, view);
    const raised = raisePending(linux);
    return raised < 0 ? raised : written;
  },
  rt_sigpending(linux, args) {
    const length = args.u64(1);
    if (length > 8) return -ERRNO.EINVAL;
    const { signalsPending, signalMask } = linux.task.state;
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigUint64(0, signalsPending & signalMask, true);
    return linux.user.write(args.u64(0), new Uint8Array(bytes.buffer), length)
      ? 0
      : -ERRNO.EFAULT;
  },
  sigaltstack(linux, args) {
    const newVa = args.u64(0);
    const oldVa = args.u64(1);
    const { state } = linux.task;
    const old = { ...state.signalStack };
    if (newVa !== 0) {
      const view = linux.user.readStruct(newVa, 24);
      if (!view) return -ERRNO.EFAULT;
      const flags = view.getInt32(8, true);
      if (flags & ~(SS_DISABLE | 1) & 0x7fff_ffff) return -ERRNO.EINVAL;
      if (flags & SS_DISABLE) {
        state.signalStack = { address: 0, sizeBytes: 0, flags: SS_DISABLE };
      } else {
        const clamp = (n: bigint) =>
          Number(n > 0xffff_ffff_ffffn ? 0xffff_ffff_ffffn : n);
        const sizeBytes = clamp(view.getBigUint64(16, true));
        if (sizeBytes < MINSIGSTKSZ) return -ERRNO.ENOMEM;
        const address = clamp(view.getBigUint64(0, true));
        state.signalStack = { address, sizeBytes, flags: 0 };
      }
    }
    if (oldVa === 0) return 0;
    const view = new DataView(new ArrayBuffer(24));
    view.setBigUint64(0, BigInt(old.address), true);
    view.setInt32(8, old.flags, true);
    view.setBigUint64(16, BigInt(old.sizeBytes), true);
    return linux.user.writeStruct(oldVa, view);
  },
  kill(linux, args) {
    const pid = args.int(0);
    const signal = args.int(1);
    if (!isSignal(signal)) return -ERRNO.EINVAL;
    const own = linux.process.state.pid;
    if (pid !== own && pid !== 0 && pid !== -own) return -ERRNO.ESRCH;
    return raise(linux, signal);
  },
  tkill(linux, args) {
    const signal = args.int(1);
    const tid = args.int(0);
    if (tid <= 0 || !isSignal(signal)) return -ERRNO.EINVAL;
    return linux.process.tasks.has(tid) ? raise(linux, signal) : -ERRNO.ESRCH;
  },
  tgkill(linux, args) {
    const { pid } = linux.process.state;
    const signal = args.int(2);
    if (args.int(0) <= 0 || args.int(1) <= 0 || !isSignal(signal)) {
      return -ERRNO.EINVAL;
    }
    return args.int(0) === pid && linux.process.tasks.has(args.int(1))
      ? raise(linux, signal)
      : -ERRNO.ESRCH;
  },
};

/** What they lack. */
export const signalPartly: PartlyTable = {
  rt_sigaction: "handlers are not called",
  kill: "handlers are not called",
  tkill: "handlers are not called",
  tgkill: "handlers are not called",
};
