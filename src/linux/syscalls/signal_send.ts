/**
 * System calls that send signals.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { CODE, INFO, INFO_BYTES, sentBy, viewOfInfo } from "../signals/info.ts";
import { isSignal } from "../signals/sets.ts";
import type { Task } from "../task.ts";
import type { SyscallTable } from "./mod.ts";

/** Whether a call may name it: a signal, or 0 to ask whether it could. */
function mayBeSent(signal: number): boolean {
  return signal === 0 || isSignal(signal);
}

/**
 * Sends a signal as the program itself does.
 *
 * @param code how: si_code @param to a thread; absent: all of the process
 * @returns 0, or -EAGAIN where too many wait
 */
export function raise(
  linux: Linux,
  signal: number,
  code: number = CODE.user,
  to?: Task,
): number {
  if (signal === 0) return 0;
  const { pid } = linux.process.state;
  return linux.signals.send(sentBy(signal, code, pid, linux.ids.uid), to);
}

/** Sends a signal with a `siginfo_t` of the program's own. */
function sendWithInfo(
  linux: Linux,
  signal: number,
  infoVa: number,
  to?: Task,
): number {
  const bytes = new Uint8Array(INFO_BYTES);
  if (!linux.user.read(infoVa, bytes)) return -ERRNO.EFAULT;
  if (!mayBeSent(signal)) return -ERRNO.EINVAL;
  if (signal === 0) return 0;
  const sent = { signal, info: bytes };
  viewOfInfo(sent).setInt32(INFO.signal, signal, true);
  return linux.signals.send(sent, to);
}

/** Calls that send signals. */
export const signalSendCalls: SyscallTable = {
  kill(linux, args) {
    const pid = args.int(0);
    const signal = args.int(1);
    if (!mayBeSent(signal)) return -ERRNO.EINVAL;
    const own = linux.process.state.pid;
    // -1 is everybody but who asks.
    if (pid !== own && pid !== 0 && pid !== -own) return -ERRNO.ESRCH;
    return raise(linux, signal);
  },
  tkill(linux, args) {
    const signal = args.int(1);
    const tid = args.int(0);
    if (tid <= 0 || !mayBeSent(signal)) return -ERRNO.EINVAL;
    const task = linux.process.tasks.get(tid);
    return task ? raise(linux, signal, CODE.tkill, task) : -ERRNO.ESRCH;
  },
  tgkill(linux, args) {
    const signal = args.int(2);
    if (args.int(0) <= 0 || args.int(1) <= 0 || !mayBeSent(signal)) {
      return -ERRNO.EINVAL;
    }
    const task = args.int(0) === linux.process.state.pid
      ? linux.process.tasks.get(args.int(1))
      : undefined;
    return task ? raise(linux, signal, CODE.tkill, task) : -ERRNO.ESRCH;
  },
  rt_sigqueueinfo(linux, args) {
    if (!linux.user.readStruct(args.u64(2), INFO_BYTES)) return -ERRNO.EFAULT;
    const task = linux.process.tasks.get(args.int(0));
    if (!task) return -ERRNO.ESRCH;
    return sendWithInfo(linux, args.int(1), args.u64(2));
  },
  rt_tgsigqueueinfo(linux, args) {
    if (!linux.user.readStruct(args.u64(3), INFO_BYTES)) return -ERRNO.EFAULT;
    if (args.int(0) <= 0 || args.int(1) <= 0) return -ERRNO.EINVAL;
    const task = args.int(0) === linux.process.state.pid
      ? linux.process.tasks.get(args.int(1))
      : undefined;
    if (!task) return -ERRNO.ESRCH;
    return sendWithInfo(linux, args.int(2), args.u64(3), task);
  },
};
