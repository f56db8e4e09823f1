/**
 * System calls that wait for children: a program here has none, as it cannot
 * fork.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { SyscallTable } from "./mod.ts";

/** Options (linux/wait.h): WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT. */
const W = {
  noHang: 1,
  untraced: 2,
  exited: 4,
  continued: 8,
  noWait: 0x0100_0000,
  /** __WNOTHREAD, __WALL and __WCLONE: of which tasks. */
  ofTasks: 0xe000_0000,
} as const;

/** The event that a call waits for: of what WUNTRACED also names WSTOPPED. */
const EVENTS = W.untraced | W.exited | W.continued;

/** What waitid waits for: any child, one, a group's, one by its descriptor. */
const P = { all: 0, pid: 1, group: 2, descriptor: 3 } as const;

/** A number of no process: its negation is none either. */
const INT_MIN = -0x8000_0000;

/** What waitid's arguments allow: 0, or a negative errno. */
function checkWaitid(which: number, id: number, options: number): number {
  const known = W.noHang | EVENTS | W.noWait | W.ofTasks;
  if (options & ~known || (options & EVENTS) === 0) return -ERRNO.EINVAL;
  switch (which) {
    case P.all:
      return 0;
    case P.pid:
      return id > 0 ? 0 : -ERRNO.EINVAL;
    case P.group:
      return id >= 0 ? 0 : -ERRNO.EINVAL;
    case P.descriptor:
      // None of those that there are stands for a process.
      return id >= 0 ? -ERRNO.EBADF : -ERRNO.EINVAL;
    default:
      return -ERRNO.EINVAL;
  }
}

/** Calls that wait for children. */
export const waitCalls: SyscallTable = {
  wait4(_linux, args) {
    const known = W.noHang | W.untraced | W.continued | W.ofTasks;
    if (args.int(2) & ~known) return -ERRNO.EINVAL;
    return args.int(0) === INT_MIN ? -ERRNO.ESRCH : -ERRNO.ECHILD;
  },
  waitid(linux, args) {
    const refused = checkWaitid(args.int(0), args.int(1), args.int(3));
    const result = refused < 0 ? refused : -ERRNO.ECHILD;
    const va = args.u64(2);
    if (va === 0) return result;
    // Linux says whatever came of it that nobody was waited for: it writes all
    // of a siginfo_t's fields but what lies between them.
    const none = new DataView(new ArrayBuffer(12));
    const isWritten = linux.user.inRange(va, 128) &&
      linux.user.writeStruct(va, none) >= 0 &&
      linux.user.writeStruct(va + 16, none) >= 0;
    return isWritten ? result : -ERRNO.EFAULT;
  },
};
