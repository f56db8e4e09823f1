/**
 * membarrier: the order of memory accesses of threads.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";

/** Commands of membarrier(2) (linux/membarrier.h). */
const MEMBARRIER = {
  query: 0,
  global: 1,
  globalExpedited: 2,
  registerGlobalExpedited: 4,
  privateExpedited: 8,
  registerPrivateExpedited: 16,
  privateExpeditedSyncCore: 32,
  registerPrivateExpeditedSyncCore: 64,
} as const;
const MEMBARRIERS: readonly number[] = Object.values(MEMBARRIER);

/** The call. */
export const membarrierCalls: SyscallTable = {
  membarrier(_linux, args) {
    if (args.uint(1) !== 0) return -ERRNO.EINVAL;
    const command = args.int(0);
    if (command === MEMBARRIER.query) {
      return MEMBARRIERS.reduce((all, one) => all | one);
    }
    // Threads share one CPU, which is in order with itself; it goes to another
    // by way of the VMM.
    return MEMBARRIERS.includes(command) ? 0 : -ERRNO.EINVAL;
  },
};

/** What it lacks. */
export const membarrierPartly = {
  membarrier:
    "commands on restartable sequences, and what was registered (EINVAL); who has not registered gets no EPERM",
} as const satisfies PartlyTable;
