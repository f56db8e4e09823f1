/**
 * System calls that make and end threads, and give them the CPU.
 *
 * @module
 */

import { ERRNO, REG } from "../../kvm/mod.ts";
import { USER_END_VA } from "../../vmm/mod.ts";
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
};

/** What they lack. */
export const threadPartly = {
  clone: "all but threads: other processes, namespaces (ENOSYS)",
  clone3: "as clone; a chosen number (EPERM), control groups (EINVAL)",
} as const satisfies PartlyTable;

/** Those that only ever refuse, and how. */
export const threadRefused = {
  fork: "ENOSYS",
  vfork: "ENOSYS",
} as const satisfies RefusedTable;
