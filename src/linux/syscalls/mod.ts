/**
 * The table of system calls.
 *
 * @module
 */

import type { SyscallHandler } from "../linux.ts";
import { SYS, type SyscallName } from "../syscall_numbers.ts";
import { attributeCalls } from "./attributes.ts";
import { descriptorCalls } from "./descriptors.ts";
import { futexCalls } from "./futex.ts";
import { folderCalls } from "./folder.ts";
import { ioCalls } from "./io.ts";
import { linkCalls } from "./links.ts";
import { lookCalls } from "./look.ts";
import { memoryCalls } from "./memory.ts";
import { nameCalls } from "./names.ts";
import { openCalls } from "./open.ts";
import { pollCalls } from "./poll.ts";
import { processCalls } from "./process.ts";
import { signalCalls } from "./signals.ts";
import { signalSendCalls } from "./signal_send.ts";
import { signalWaitCalls } from "./signal_wait.ts";
import { timerCalls } from "./timers.ts";
import { threadCalls } from "./threads.ts";
import { timeCalls } from "./time.ts";

/** Handlers by name. */
export type SyscallTable = Partial<Record<SyscallName, SyscallHandler>>;

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
    ...folderCalls,
    ...attributeCalls,
    ...ioCalls,
    ...descriptorCalls,
    ...pollCalls,
    ...memoryCalls,
    ...processCalls,
    ...threadCalls,
    ...futexCalls,
    ...signalCalls,
    ...signalSendCalls,
    ...signalWaitCalls,
    ...timerCalls,
    ...timeCalls,
  };
  const table = new Array<SyscallHandler | undefined>(512).fill(undefined);
  for (const [name, handler] of Object.entries(byName)) {
    table[SYS[name as SyscallName]] = handler;
  }
  return table;
})();
