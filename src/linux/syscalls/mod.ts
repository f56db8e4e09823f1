/**
 * The table of system calls.
 *
 * @module
 */

import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import { SYS, type SyscallName } from "../syscall_numbers.ts";
import { attributeCalls, attributePartly } from "./attributes.ts";
import { capabilityCalls } from "./capabilities.ts";
import { descriptorCalls, descriptorPartly } from "./descriptors.ts";
import { epollCalls } from "./epoll.ts";
import { eventCalls } from "./events.ts";
import { execCalls } from "./exec.ts";
import { futexCalls, futexPartly } from "./futex.ts";
import { futexWaitvCalls } from "./futex_waitv.ts";
import { folderCalls } from "./folder.ts";
import { inotifyCalls, inotifyPartly } from "./inotify.ts";
import { ioCalls, ioPartly } from "./io.ts";
import { linkCalls, linkPartly } from "./links.ts";
import { lockCalls, lockPartly } from "./locks.ts";
import { lookCalls } from "./look.ts";
import { adviceCalls } from "./madvise.ts";
import { memoryFileCalls, memoryFilePartly } from "./memory_file.ts";
import { mappingCalls } from "./mmap.ts";
import { remapCalls } from "./mremap.ts";
import { nameCalls, namePartly } from "./names.ts";
import { openCalls, openPartly } from "./open.ts";
import { pollCalls } from "./poll.ts";
import { processCalls, processPartly } from "./process.ts";
import { protectionCalls } from "./protection.ts";
import { residencyCalls } from "./residency.ts";
import { signalCalls } from "./signals.ts";
import { spaceCalls, spacePartly } from "./space.ts";
import { signalFileCalls } from "./signal_file.ts";
import { signalSendCalls } from "./signal_send.ts";
import { signalWaitCalls } from "./signal_wait.ts";
import { timerCalls } from "./timers.ts";
import { spliceCalls } from "./splice.ts";
import { socketCalls } from "./sockets.ts";
import { threadCalls } from "./threads.ts";
import { timeCalls } from "./time.ts";
import { xattrCalls, xattrPartly } from "./xattr.ts";

/** A system call: its result, a negative errno, or one of `call_results.ts`. */
export type SyscallHandler = (linux: Linux, args: Registers) => number;

/** Handlers by name. */
export type SyscallTable = Partial<Record<SyscallName, SyscallHandler>>;

/** What a call that is there lacks, by name, in a few words: docs/linux.md. */
export type PartlyTable = Partial<Record<SyscallName, string>>;

/** What calls lack, of all of them. */
export const PARTLY: PartlyTable = {
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
};

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
    ...processCalls,
    ...threadCalls,
    ...execCalls,
    ...futexCalls,
    ...futexWaitvCalls,
    ...signalCalls,
    ...signalSendCalls,
    ...signalWaitCalls,
    ...signalFileCalls,
    ...timerCalls,
    ...timeCalls,
  };
  const table = new Array<SyscallHandler | undefined>(512).fill(undefined);
  for (const [name, handler] of Object.entries(byName)) {
    table[SYS[name as SyscallName]] = handler;
  }
  return table;
})();
