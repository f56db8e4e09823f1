/**
 * prctl: what a program says of itself, or of one of its threads.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Options (linux/prctl.h). */
const PR = {
  setParentDeathSignal: 1,
  getParentDeathSignal: 2,
  getDumpable: 3,
  setDumpable: 4,
  getKeepCapabilities: 7,
  setKeepCapabilities: 8,
  setName: 15,
  getName: 16,
  getSeccomp: 21,
  readBoundingSet: 23,
  setTimerSlack: 29,
  getTimerSlack: 30,
  setNoNewPrivileges: 38,
  getNoNewPrivileges: 39,
  setHugePagesDisabled: 41, // PR_SET_THP_DISABLE
  getHugePagesDisabled: 42,
  setAreaName: 0x5356_4d41, // PR_SET_VMA
  setTracer: 0x5961_6d61, // PR_SET_PTRACER
} as const;

/** Bytes of a thread's name, with its zero. */
const NAME_BYTES = 16;

/** Highest number of a capability (linux/capability.h). */
const LAST_CAPABILITY = 40n;

/** Highest number of a signal. */
const LAST_SIGNAL = 64n;

/** Nanoseconds that timers may be late: what Linux has until it is told. */
const TIMER_SLACK_NS = 50_000;

function setName(linux: Linux, va: number): number {
  const bytes = new Uint8Array(NAME_BYTES);
  for (let i = 0; i < NAME_BYTES - 1; i++) {
    const one = linux.user.readStruct(va + i, 1);
    if (!one) return -ERRNO.EFAULT;
    bytes[i] = one.getUint8(0);
    if (bytes[i] === 0) break;
  }
  const end = bytes.indexOf(0);
  linux.task.state.name = String.fromCharCode(...bytes.subarray(0, end));
  return 0;
}

function getName(linux: Linux, va: number): number {
  const bytes = new Uint8Array(NAME_BYTES);
  const { name } = linux.task.state;
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return linux.user.write(va, bytes) ? 0 : -ERRNO.EFAULT;
}

/** Whether arguments `first` to 4 are zero, as newer options want it. */
function areZero(args: Registers, first: number): boolean {
  return [1, 2, 3, 4].every((i) => i < first || args.big(i) === 0n);
}

/** 0 where a condition holds, else -EINVAL. */
function valid(isValid: boolean): number {
  return isValid ? 0 : -ERRNO.EINVAL;
}

/** The call. */
export const prctlCalls: SyscallTable = {
  prctl(linux, args) {
    const value = args.big(1);
    switch (args.int(0)) {
      case PR.setName:
        return setName(linux, args.u64(1));
      case PR.getName:
        return getName(linux, args.u64(1));
      // No core is ever written, and nobody can trace the program.
      case PR.setDumpable:
        return valid(value <= 1n);
      case PR.getDumpable:
        return 1;
      // No program that it executes has more rights than it.
      case PR.setNoNewPrivileges:
        return valid(value === 1n && areZero(args, 2));
      case PR.getNoNewPrivileges:
        return valid(areZero(args, 1));
      // Its parent does not end before it.
      case PR.setParentDeathSignal:
        return valid(value <= LAST_SIGNAL);
      case PR.getParentDeathSignal:
        return linux.user.writeU32(args.u64(1), 0);
      // It never becomes another user.
      case PR.setKeepCapabilities:
        return valid(value <= 1n);
      case PR.getKeepCapabilities:
      case PR.getSeccomp:
        return 0;
      case PR.readBoundingSet:
        return value <= LAST_CAPABILITY ? 1 : -ERRNO.EINVAL;
      // Which pages the host has is its own affair.
      case PR.setHugePagesDisabled:
        return valid(areZero(args, 2));
      case PR.getHugePagesDisabled:
        return valid(areZero(args, 1));
      // As without CONFIG_ANON_VMA_NAME, and without Yama.
      case PR.setAreaName:
      case PR.setTracer:
        return -ERRNO.EINVAL;
      case PR.setTimerSlack:
        return 0;
      case PR.getTimerSlack:
        return TIMER_SLACK_NS;
      default:
        return linux.unsupported(
          "prctl",
          `option ${args.int(0)}`,
          -ERRNO.EINVAL,
        );
    }
  },
};

/** What it lacks. */
export const prctlPartly = {
  prctl:
    "all but names and what follows (EINVAL); dumpable, no_new_privs, pdeathsig, keepcaps, timer slack and THP_DISABLE are set without an effect",
} as const satisfies PartlyTable;
