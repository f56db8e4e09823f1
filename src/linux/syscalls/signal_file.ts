/**
 * System calls that make files of signals: signalfd.
 *
 * @module
 */

import { O, SignalFile } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { UNBLOCKABLE } from "../signals/sets.ts";
import type { CallArguments } from "../trace.ts";
import { install } from "./limits.ts";
import type { SyscallTable } from "./mod.ts";
import { readSet, SET_BYTES } from "./signals.ts";

/** Makes a file of signals, or changes which one gives. */
function signalfd(linux: Linux, args: CallArguments, flags: number): number {
  const fd = args.int(0);
  if (args.u64(2) !== SET_BYTES) return -ERRNO.EINVAL;
  const set = readSet(linux, args.u64(1));
  if (set === undefined) return -ERRNO.EFAULT;
  if (flags & ~(O.closeOnExec | O.nonBlock)) return -ERRNO.EINVAL;
  const mask = set & ~UNBLOCKABLE;
  if (fd !== -1) {
    const file = linux.fds.file(fd);
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    if (!(file instanceof SignalFile)) return -ERRNO.EINVAL;
    file.mask = mask;
    return fd;
  }
  const file = new SignalFile(flags & O.nonBlock, mask);
  file.attach(linux.signals);
  return install(linux, file, (flags & O.closeOnExec) !== 0);
}

/** Calls that make files of signals. */
export const signalFileCalls: SyscallTable = {
  signalfd(linux, args) {
    return signalfd(linux, args, 0);
  },
  signalfd4(linux, args) {
    return signalfd(linux, args, args.int(3));
  },
};
