/**
 * System calls that make and end threads, and give them the CPU.
 *
 * @module
 */

import { ERRNO, REG } from "../../kvm/mod.ts";
import { USER_END_VA } from "../../vmm/mod.ts";
import { YIELDED } from "../call_results.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import { Task } from "../task.ts";
import { TaskRegisters } from "../task_registers.ts";
import { releaseFutexes } from "./futex.ts";
import type { PartlyTable, RefusedTable, SyscallTable } from "./mod.ts";

/** Flags of clone (linux/sched.h). */
const CLONE = {
  vm: 0x100,
  fs: 0x200,
  files: 0x400,
  sighand: 0x800,
  pidfd: 0x1000,
  ptrace: 0x2000,
  vfork: 0x4000,
  parent: 0x8000,
  thread: 0x1_0000,
  newNs: 0x2_0000,
  sysvsem: 0x4_0000,
  setTls: 0x8_0000,
  parentSetTid: 0x10_0000,
  childClearTid: 0x20_0000,
  detached: 0x40_0000,
  untraced: 0x80_0000,
  childSetTid: 0x100_0000,
} as const;

/** What a thread shares, always: the one kind of task that can be made. */
const THREAD = CLONE.vm | CLONE.fs | CLONE.files | CLONE.sighand | CLONE.thread;

/** What else may be asked for. */
const ALLOWED = THREAD | CLONE.sysvsem | CLONE.setTls | CLONE.parentSetTid |
  CLONE.childClearTid | CLONE.childSetTid | CLONE.detached | CLONE.untraced |
  CLONE.ptrace;

/** Bits of clone's flags that are the signal of a child's end. */
const EXIT_SIGNAL = 0xff;

/** Lengths of `struct clone_args`: of its first version, and known here. */
const CLONE_ARGS = { first: 64, known: 88, most: 4096 } as const;

/** Scheduling policies (sched(7)). */
const SCHED = { other: 0, fifo: 1, roundRobin: 2, batch: 3, idle: 5 } as const;

/** Added to a policy: a child begins without it. There are no children. */
const SCHED_RESET_ON_FORK = 0x4000_0000;

/** What clone is asked to make. */
interface NewTask {
  readonly flags: number;
  /** Its stack pointer; 0: its maker's. */
  readonly stack: number;
  readonly parentTid: number;
  readonly childTid: number;
  readonly tls: bigint;
}

function clone(linux: Linux, wish: NewTask): number {
  const { flags } = wish;
  const has = (bit: number) => (flags & bit) !== 0;
  if (has(CLONE.sighand) && !has(CLONE.vm)) return -ERRNO.EINVAL;
  if (has(CLONE.thread) && !has(CLONE.sighand)) return -ERRNO.EINVAL;
  if ((flags & THREAD) !== THREAD || (flags & ~ALLOWED) !== 0) {
    const what = has(CLONE.thread)
      ? `flags 0x${(flags >>> 0).toString(16)}`
      : "another process";
    return linux.unsupported("clone", what, -ERRNO.ENOSYS);
  }
  if (has(CLONE.setTls) && wish.tls >= BigInt(USER_END_VA)) return -ERRNO.EPERM;
  const { process, scheduler, task: parent, user } = linux;
  const tid = process.allocateTid();
  if (tid < 0) return -ERRNO.EAGAIN;
  if (has(CLONE.parentSetTid)) user.writeU32(wish.parentTid, tid);
  if (has(CLONE.childSetTid)) user.writeU32(wish.childTid, tid);
  const now = linux.clock.monotonicNs();
  const child = new Task({
    ...Task.initial(tid, parent.state.name),
    clearChildTid: has(CLONE.childClearTid) ? wish.childTid : 0,
    signalMask: parent.state.signalMask,
    waitedNs: now,
    offSinceNs: now,
  });
  const registers = new TaskRegisters(linux.vcpu.xsaveBytes);
  registers.take(linux.vcpu);
  const { regs } = registers;
  regs[REG.rax] = regs[REG.rax + 1] = 0;
  if (wish.stack !== 0) {
    regs[REG.rsp] = wish.stack;
    regs[REG.rsp + 1] = Math.floor(wish.stack / 0x1_0000_0000);
  }
  if (has(CLONE.setTls)) registers.fsBase = wish.tls;
  child.registers = registers;
  process.tasks.set(tid, child);
  scheduler.wake(child);
  return tid;
}

/** Reads clone3's arguments: what to make, or a negative errno. */
function readCloneArgs(
  linux: Linux,
  va: number,
  lengthBytes: number,
): NewTask | number {
  if (lengthBytes > CLONE_ARGS.most) return -ERRNO.E2BIG;
  if (lengthBytes < CLONE_ARGS.first) return -ERRNO.EINVAL;
  const bytes = new Uint8Array(Math.max(lengthBytes, CLONE_ARGS.known));
  if (!linux.user.read(va, bytes.subarray(0, lengthBytes))) {
    return -ERRNO.EFAULT;
  }
  if (bytes.subarray(CLONE_ARGS.known).some((byte) => byte !== 0)) {
    return -ERRNO.E2BIG;
  }
  const view = new DataView(bytes.buffer);
  const [flags, , childTid, parentTid, signal, stack, stackBytes, tls, , tids] =
    Array.from({ length: 10 }, (_, i) => view.getBigUint64(i * 8, true));
  if (flags >> 32n || flags & BigInt(EXIT_SIGNAL | CLONE.detached)) {
    return -ERRNO.EINVAL;
  }
  if (signal > 64n || (flags & BigInt(CLONE.thread) && signal !== 0n)) {
    return -ERRNO.EINVAL;
  }
  if ((stack === 0n) !== (stackBytes === 0n)) return -ERRNO.EINVAL;
  if (tids !== 0n) return -ERRNO.EPERM;
  const top = stack + stackBytes;
  if (top > BigInt(USER_END_VA)) return -ERRNO.EINVAL;
  const address = (n: bigint) =>
    Number(n > 0xffff_ffff_ffffn ? 0xffff_ffff_ffffn : n);
  return {
    flags: Number(flags),
    stack: Number(top),
    parentTid: address(parentTid),
    childTid: address(childTid),
    tls,
  };
}

/** The task that a call names: 0 is who asks. */
function taskOf(linux: Linux, tid: number): Task | undefined {
  return tid === 0 ? linux.task : linux.process.tasks.get(tid);
}

/** Checks that a call names a task; 0 or a negative errno. */
function checkTask(linux: Linux, tid: number): number {
  if (tid < 0) return -ERRNO.EINVAL;
  return taskOf(linux, tid) ? 0 : -ERRNO.ESRCH;
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
  if (found < 0) return found;
  if (policy === SCHED.fifo || policy === SCHED.roundRobin) {
    // A thread that must run before others could not be kept from it here.
    return priority >= 1 && priority <= 99 ? -ERRNO.EPERM : -ERRNO.EINVAL;
  }
  const isPlain = policy === SCHED.other || policy === SCHED.batch ||
    policy === SCHED.idle;
  return isPlain && priority === 0 ? 0 : -ERRNO.EINVAL;
}

/** Whom getpriority is asked about (linux/resource.h). */
const PRIO = { process: 0, group: 1, user: 2 } as const;

/** Nice values (setpriority(2)). */
const NICE = { least: -20, most: 19 } as const;

/** Checks that a call on priorities means this process; 0 or an errno. */
function checkPriority(linux: Linux, args: Registers): number {
  const which = args.int(0);
  const who = args.int(1);
  if (which < PRIO.process || which > PRIO.user) return -ERRNO.EINVAL;
  const isIts = who === 0 ||
    (which === PRIO.user
      ? args.uint(1) === linux.ids.uid
      : which === PRIO.group
      ? who === linux.process.state.pid
      : linux.process.tasks.has(who));
  return isIts ? 0 : -ERRNO.ESRCH;
}

/** Calls on threads. */
export const threadCalls: SyscallTable = {
  clone(linux, args: Registers) {
    return clone(linux, {
      flags: args.uint(0) & ~EXIT_SIGNAL,
      stack: args.u64(1),
      parentTid: args.u64(2),
      childTid: args.u64(3),
      tls: args.big(4),
    });
  },
  clone3(linux, args) {
    const wish = readCloneArgs(linux, args.u64(0), args.u64(1));
    return typeof wish === "number" ? wish : clone(linux, wish);
  },
  fork: (linux) => linux.unsupported("fork", "another process", -ERRNO.ENOSYS),
  vfork: (linux) =>
    linux.unsupported("vfork", "another process", -ERRNO.ENOSYS),
  exit(linux, args) {
    releaseFutexes(linux, linux.task);
    return linux.exitTask(args.int(0));
  },
  exit_group: (linux, args) => linux.exit(args.int(0)),
  gettid: (linux) => linux.task.tid,
  set_tid_address(linux, args) {
    linux.task.state.clearChildTid = args.u64(0);
    return linux.task.tid;
  },
  getpriority(linux, args) {
    // A result below 0 would be an error.
    return checkPriority(linux, args) || 20 - linux.process.state.nice;
  },
  setpriority(linux, args) {
    const found = checkPriority(linux, args);
    if (found < 0) return found;
    const { state } = linux.process;
    const nice = Math.min(Math.max(args.int(2), NICE.least), NICE.most);
    if (nice < state.nice && linux.ids.uid !== 0) return -ERRNO.EACCES;
    state.nice = nice;
    return 0;
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
export const threadPartly = {
  clone: "all but threads: other processes, namespaces (ENOSYS)",
  clone3: "as clone; a chosen number (EPERM), control groups (EINVAL)",
  setpriority: "it has no effect on turns; all threads have one value",
  sched_setscheduler:
    "SCHED_FIFO, SCHED_RR, SCHED_DEADLINE (EPERM); others have no effect",
  sched_getscheduler: "it says SCHED_OTHER, whatever was set",
} as const satisfies PartlyTable;

/** Those that only ever refuse, and how. */
export const threadRefused = {
  fork: "ENOSYS",
  vfork: "ENOSYS",
} as const satisfies RefusedTable;
