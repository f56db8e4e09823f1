/**
 * System calls on who the program is: users, groups, processes and sessions.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { PartlyTable, SyscallHandler, SyscallTable } from "./mod.ts";

/** An ID that is left as it is (setresuid(2)). */
const SAME = 0xffff_ffff;

/** Most groups that setgroups takes (linux/limits.h). */
const NGROUPS_MAX = 65536;

/** Which of the two kinds of ID a call is about. */
type Kind = "uid" | "gid";

function told(kind: Kind): SyscallHandler {
  return (linux) => linux.ids[kind];
}

/** getresuid and getresgid: all three are the same. */
function tellAll(kind: Kind): SyscallHandler {
  return (linux, args) => {
    for (const i of [0, 1, 2]) {
      const written = linux.user.writeU32(args.u64(i), linux.ids[kind]);
      if (written < 0) return written;
    }
    return 0;
  };
}

/** setuid and setgid: of files, the program is whom the host takes it for. */
function become(kind: Kind): SyscallHandler {
  return (linux, args) => {
    if (args.uint(0) === SAME) return -ERRNO.EINVAL;
    return args.uint(0) === linux.ids[kind] ? 0 : -ERRNO.EPERM;
  };
}

/** Those that set so many at once. */
function becomeAll(kind: Kind, count: number): SyscallHandler {
  return (linux, args) => {
    for (let i = 0; i < count; i++) {
      const id = args.uint(i);
      if (id !== SAME && id !== linux.ids[kind]) return -ERRNO.EPERM;
    }
    return 0;
  };
}

const pid: SyscallHandler = (linux) => linux.process.state.pid;

/** The group, or the session, of a process: it leads both. */
function ledBy(linux: Linux, args: Registers): number {
  const own = linux.process.state.pid;
  return args.int(0) === 0 || args.int(0) === own ? own : -ERRNO.ESRCH;
}

/** Calls on who the program is. */
export const identityCalls: SyscallTable = {
  getuid: told("uid"),
  geteuid: told("uid"),
  getgid: told("gid"),
  getegid: told("gid"),
  getresuid: tellAll("uid"),
  getresgid: tellAll("gid"),
  setuid: become("uid"),
  setgid: become("gid"),
  setreuid: becomeAll("uid", 2),
  setregid: becomeAll("gid", 2),
  setresuid: becomeAll("uid", 3),
  setresgid: becomeAll("gid", 3),
  // They say who it was, and nothing of whether it is another now.
  setfsuid: told("uid"),
  setfsgid: told("gid"),
  getgroups: (_linux, args) => args.int(0) < 0 ? -ERRNO.EINVAL : 0,
  setgroups(linux, args) {
    if (linux.ids.uid !== 0) return -ERRNO.EPERM;
    const count = args.uint(0);
    if (count > NGROUPS_MAX) return -ERRNO.EINVAL;
    const isRead = linux.user.read(args.u64(1), new Uint8Array(count * 4));
    if (!isRead) return -ERRNO.EFAULT;
    return count === 0 ? 0 : -ERRNO.EPERM;
  },
  getpid: pid,
  getppid: () => 1,
  getpgrp: pid,
  getpgid: ledBy,
  getsid: ledBy,
  setpgid(linux, args) {
    const own = linux.process.state.pid;
    const which = args.int(0) || own;
    const group = args.int(1) || which;
    if (group < 0) return -ERRNO.EINVAL;
    const { tasks } = linux.process;
    if (!tasks.has(which)) return -ERRNO.ESRCH;
    if (which !== own) return -ERRNO.EINVAL; // a thread
    return group === own ? 0 : -ERRNO.EPERM;
  },
  // Who leads a group of processes cannot begin a session.
  setsid: () => -ERRNO.EPERM,
};

/** What they lack. */
export const identityPartly = {
  getgroups: "groups beside the first: none is told",
  setgroups: "all but an empty list (EPERM)",
  setuid: "all but the own one (EPERM)",
  setgid: "all but the own one (EPERM)",
  setreuid: "all but the own one (EPERM)",
  setregid: "all but the own one (EPERM)",
  setresuid: "all but the own one (EPERM)",
  setresgid: "all but the own one (EPERM)",
  setfsuid: "it has no effect",
  setfsgid: "it has no effect",
} as const satisfies PartlyTable;
