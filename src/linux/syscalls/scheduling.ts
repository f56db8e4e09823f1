/**
 * System calls on how threads share the CPU, and on what may be first at disks.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { YIELDED } from "../call_results.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { Task } from "../task.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Scheduling policies (sched(7)). */
export const SCHED = {
  other: 0,
  fifo: 1,
  roundRobin: 2,
  batch: 3,
  idle: 5,
} as const;

/** Added to a policy: a child begins without it. There are no children. */
const SCHED_RESET_ON_FORK = 0x4000_0000;

/** The task that a call names: 0 is who asks. */
function taskOf(linux: Linux, tid: number): Task | undefined {
  return tid === 0 ? linux.task : linux.process.tasks.get(tid);
}

/** Checks that a call names a task; 0 or a negative errno. */
export function checkTask(linux: Linux, tid: number): number {
  if (tid < 0) return -ERRNO.EINVAL;
  return taskOf(linux, tid) ? 0 : -ERRNO.ESRCH;
}

/** Whether a policy may be set with a priority; 0 or a negative errno. */
export function checkPolicy(policy: number, priority: number): number {
  if (policy === SCHED.fifo || policy === SCHED.roundRobin) {
    // A thread that must run before others could not be kept from it here.
    return priority >= 1 && priority <= 99 ? -ERRNO.EPERM : -ERRNO.EINVAL;
  }
  const isPlain = policy === SCHED.other || policy === SCHED.batch ||
    policy === SCHED.idle;
  return isPlain && priority === 0 ? 0 : -ERRNO.EINVAL;
}

/** Sets a policy with the priority that an argument points to, if it may be. */
function schedule(
  linux: Linux,
  args: Registers,
  policy: number,
  argument: number,
): number {
  const va = args.u64(argument);
  if (va === 0 || args.int(0) < 0) return -ERRNO.EINVAL;
  const priority = linux.user.readStruct(va, 4)?.getInt32(0, true);
  if (priority === undefined) return -ERRNO.EFAULT;
  const found = checkTask(linux, args.int(0));
  return found < 0 ? found : checkPolicy(policy, priority);
}

/** Whom getpriority is asked about (linux/resource.h). */
const PRIO = { process: 0, group: 1, user: 2 } as const;

/** Classes of priorities at disks (linux/ioprio.h). */
const IOPRIO = { none: 0, realtime: 1, bestEffort: 2, idle: 3 } as const;

/** Nice values (setpriority(2)). */
const NICE = { least: -20, most: 19 } as const;

/** Whether it is this process, or of it, that is meant; 0 or -ESRCH. */
function checkWhom(linux: Linux, which: number, who: number): number {
  const isIts = who === 0 ||
    (which === PRIO.user
      ? who >>> 0 === linux.ids.uid
      : which === PRIO.group
      ? who === linux.process.state.pid
      : linux.process.tasks.has(who));
  return isIts ? 0 : -ERRNO.ESRCH;
}

/** Checks that a call on priorities means this process; 0 or an errno. */
function checkPriority(linux: Linux, args: Registers): number {
  const which = args.int(0);
  if (which < PRIO.process || which > PRIO.user) return -ERRNO.EINVAL;
  return checkWhom(linux, which, args.int(1));
}

/**
 * Sets the nice value, if the program may.
 *
 * @returns 0, or `refused` where it may not
 */
export function setNice(linux: Linux, value: number, refused: number): number {
  const { state } = linux.process;
  const nice = Math.min(Math.max(value, NICE.least), NICE.most);
  if (nice < state.nice && linux.ids.uid !== 0) return refused;
  state.nice = nice;
  return 0;
}

/** Checks that a call on priorities at disks means this process. */
function checkDiskPriority(linux: Linux, args: Registers): number {
  // Its kinds are those of getpriority, one higher.
  const which = args.int(0) - 1;
  if (which < PRIO.process || which > PRIO.user) return -ERRNO.EINVAL;
  return checkWhom(linux, which, args.int(1));
}

/** Calls on how threads share the CPU. */
export const schedulingCalls: SyscallTable = {
  getpriority(linux, args) {
    // A result below 0 would be an error.
    return checkPriority(linux, args) || 20 - linux.process.state.nice;
  },
  setpriority(linux, args) {
    const found = checkPriority(linux, args);
    return found < 0 ? found : setNice(linux, args.int(2), -ERRNO.EACCES);
  },
  ioprio_get(linux, args) {
    const found = checkDiskPriority(linux, args);
    if (found < 0) return found;
    // A process that has none; many, by their nice values.
    const { nice } = linux.process.state;
    const isOne = args.int(0) === PRIO.process + 1;
    return isOne ? 0 : IOPRIO.bestEffort << 13 | Math.floor((nice + 20) / 5);
  },
  ioprio_set(linux, args) {
    const value = args.int(2);
    const kind = value >> 13 & 7;
    if (kind > IOPRIO.idle) return -ERRNO.EINVAL;
    if (kind === IOPRIO.realtime && linux.ids.uid !== 0) return -ERRNO.EPERM;
    if (kind === IOPRIO.none && value & 7) return -ERRNO.EINVAL;
    return checkDiskPriority(linux, args);
  },
  sched_yield: (linux) => linux.hasReady ? YIELDED : 0,
  sched_getaffinity(linux, args) {
    const length = args.uint(1);
    if (length < 8 || length % 8 !== 0) return -ERRNO.EINVAL;
    if (!taskOf(linux, args.int(0))) return -ERRNO.ESRCH;
    const mask = new Uint8Array(8);
    mask[0] = 1;
    return linux.user.write(args.u64(2), mask) ? 8 : -ERRNO.EFAULT;
  },
  sched_setaffinity(linux, args) {
    const length = Math.min(args.uint(1), 8);
    const mask = new Uint8Array(8);
    if (!linux.user.read(args.u64(2), mask.subarray(0, length))) {
      return -ERRNO.EFAULT;
    }
    if (!taskOf(linux, args.int(0))) return -ERRNO.ESRCH;
    return mask[0] & 1 ? 0 : -ERRNO.EINVAL;
  },
  sched_getscheduler: (linux, args) => checkTask(linux, args.int(0)),
  sched_setscheduler(linux, args) {
    if (args.int(1) < 0) return -ERRNO.EINVAL;
    return schedule(linux, args, args.int(1) & ~SCHED_RESET_ON_FORK, 2);
  },
  sched_getparam(linux, args) {
    if (args.u64(1) === 0) return -ERRNO.EINVAL;
    const found = checkTask(linux, args.int(0));
    return found < 0 ? found : linux.user.writeU32(args.u64(1), 0);
  },
  sched_setparam: (linux, args) => schedule(linux, args, SCHED.other, 1),
  sched_rr_get_interval(linux, args) {
    const found = checkTask(linux, args.int(0));
    if (found < 0) return found;
    // It has no turns of a length of its own.
    return linux.user.writeStruct(
      args.u64(1),
      new DataView(new ArrayBuffer(16)),
    );
  },
  sched_get_priority_max: (_linux, args) => priorityLimit(args.int(0), 99),
  sched_get_priority_min: (_linux, args) => priorityLimit(args.int(0), 1),
};

/** The highest or lowest priority of a policy; -EINVAL for one there is not. */
function priorityLimit(policy: number, limit: number): number {
  if (policy === SCHED.fifo || policy === SCHED.roundRobin) return limit;
  const isPlain = policy === SCHED.other || policy === SCHED.batch ||
    policy === SCHED.idle || policy === 6; // SCHED_DEADLINE
  return isPlain ? 0 : -ERRNO.EINVAL;
}

/** What they lack. */
export const schedulingPartly = {
  setpriority: "it has no effect on turns; all threads have one value",
  sched_setscheduler:
    "SCHED_FIFO, SCHED_RR, SCHED_DEADLINE (EPERM); others have no effect",
  ioprio_set: "it has no effect",
  ioprio_get: "what ioprio_set was passed",
  sched_getscheduler: "it says SCHED_OTHER, whatever was set",
} as const satisfies PartlyTable;
