/**
 * The table of system calls.
 *
 * @module
 */

import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import { SYS, type SyscallName } from "../syscall_numbers.ts";
import { attributeCalls, attributePartly } from "./attributes.ts";
import { membarrierCalls, membarrierPartly } from "./membarrier.ts";
import { capabilityCalls, capabilityPartly } from "./capabilities.ts";
import { descriptorCalls, descriptorPartly } from "./descriptors.ts";
import { epollCalls } from "./epoll.ts";
import { eventCalls, eventPartly } from "./events.ts";
import { execCalls, execPartly } from "./exec.ts";
import { futexCalls, futexPartly } from "./futex.ts";
import { futexWaitvCalls } from "./futex_waitv.ts";
import { folderCalls } from "./folder.ts";
import { identityCalls, identityPartly } from "./identity.ts";
import { inotifyCalls, inotifyPartly } from "./inotify.ts";
import { ioCalls, ioPartly } from "./io.ts";
import { linkCalls, linkPartly } from "./links.ts";
import { lockCalls, lockPartly } from "./locks.ts";
import { lookCalls } from "./look.ts";
import { adviceCalls, advicePartly } from "./madvise.ts";
import { memoryPolicyCalls, memoryPolicyRefused } from "./memory_policy.ts";
import { memoryFileCalls, memoryFilePartly } from "./memory_file.ts";
import { mappingCalls, mappingPartly } from "./mmap.ts";
import { remapCalls, remapPartly } from "./mremap.ts";
import { nameCalls, namePartly } from "./names.ts";
import { openCalls, openPartly } from "./open.ts";
import { pollCalls } from "./poll.ts";
import { prctlCalls, prctlPartly } from "./prctl.ts";
import { processCalls, processPartly } from "./process.ts";
import {
  protectionCalls,
  protectionPartly,
  protectionRefused,
} from "./protection.ts";
import { residencyCalls, residencyPartly } from "./residency.ts";
import {
  scheduleAttributeCalls,
  scheduleAttributePartly,
} from "./schedule_attributes.ts";
import { schedulingCalls, schedulingPartly } from "./scheduling.ts";
import { signalCalls } from "./signals.ts";
import { spaceCalls, spacePartly } from "./space.ts";
import { signalFileCalls } from "./signal_file.ts";
import { signalSendCalls } from "./signal_send.ts";
import { signalWaitCalls } from "./signal_wait.ts";
import { timerCalls, timerPartly } from "./timers.ts";
import { spliceCalls, splicePartly } from "./splice.ts";
import { socketCalls, socketPartly, socketRefused } from "./sockets.ts";
import { threadCalls, threadPartly, threadRefused } from "./threads.ts";
import { timeCalls, timePartly } from "./time.ts";
import { waitCalls } from "./wait.ts";
import { xattrCalls, xattrPartly } from "./xattr.ts";

/**
 * A system call: its result, a negative errno, or one of `call_results.ts`. A
 * result that numbers do not hold is a bigint.
 */
export type SyscallHandler = (
  linux: Linux,
  args: Registers,
) => number | bigint;

/** Handlers by name. */
export type SyscallTable = Partial<Record<SyscallName, SyscallHandler>>;

/** What a call that is there lacks, by name, in a few words: docs/linux.md. */
export type PartlyTable = Partial<Record<SyscallName, string>>;

/** What a program gets of a call that has a handler, but only ever refuses. */
export type RefusedTable = Partial<Record<SyscallName, string>>;

/** What calls lack, of all of them. */
export const PARTLY = {
  ...openPartly,
  ...descriptorPartly,
  ...linkPartly,
  ...namePartly,
  ...lockPartly,
  ...spacePartly,
  ...xattrPartly,
  ...memoryFilePartly,
  ...ioPartly,
  ...futexPartly,
  ...inotifyPartly,
  ...attributePartly,
  ...processPartly,
  ...prctlPartly,
  ...identityPartly,
  ...threadPartly,
  ...schedulingPartly,
  ...scheduleAttributePartly,
  ...socketPartly,
  ...execPartly,
  ...splicePartly,
  ...remapPartly,
  ...advicePartly,
  ...mappingPartly,
  ...protectionPartly,
  ...residencyPartly,
  ...capabilityPartly,
  ...membarrierPartly,
  ...eventPartly,
  ...timePartly,
  ...timerPartly,
} as const satisfies PartlyTable;

/** Calls that only ever refuse, all of them. */
export const REFUSED = {
  ...threadRefused,
  ...socketRefused,
  ...protectionRefused,
  ...memoryPolicyRefused,
} as const satisfies RefusedTable;

/** A call of which it is noted that it does not do all that Linux's does. */
export type LackingCall = keyof typeof PARTLY | keyof typeof REFUSED;

/**
 * The number that SAVE() of guest/scratchvm.h passes: no system call of Linux,
 * so that natively it gives ENOSYS.
 */
export const SAVE_NUMBER = 0x5356_4d01;

/** Handlers by number; a hole where a call is not supported. */
export const SYSCALLS: readonly (SyscallHandler | undefined)[] = (() => {
  const byName: SyscallTable = {
    ...openCalls,
    ...lookCalls,
    ...nameCalls,
    ...linkCalls,
    ...lockCalls,
    ...spaceCalls,
    ...spliceCalls,
    ...xattrCalls,
    ...memoryFileCalls,
    ...folderCalls,
    ...attributeCalls,
    ...capabilityCalls,
    ...membarrierCalls,
    ...ioCalls,
    ...descriptorCalls,
    ...pollCalls,
    ...epollCalls,
    ...inotifyCalls,
    ...eventCalls,
    ...socketCalls,
    ...mappingCalls,
    ...remapCalls,
    ...adviceCalls,
    ...residencyCalls,
    ...protectionCalls,
    ...memoryPolicyCalls,
    ...processCalls,
    ...prctlCalls,
    ...identityCalls,
    ...threadCalls,
    ...schedulingCalls,
    ...scheduleAttributeCalls,
    ...execCalls,
    ...futexCalls,
    ...futexWaitvCalls,
    ...signalCalls,
    ...signalSendCalls,
    ...signalWaitCalls,
    ...signalFileCalls,
    ...timerCalls,
    ...timeCalls,
    ...waitCalls,
  };
  const table = new Array<SyscallHandler | undefined>(512).fill(undefined);
  for (const [name, handler] of Object.entries(byName)) {
    table[SYS[name as SyscallName]] = handler;
  }
  return table;
})();
