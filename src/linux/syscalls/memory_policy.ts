/**
 * System calls on which of a machine's nodes memory is at. A VM has one node,
 * and answers as a kernel that was built without NUMA: programs that ask first
 * then let it be.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import type { RefusedTable, SyscallTable } from "./mod.ts";

/** Answers as where a kernel has no such call (kernel/sys_ni.c). */
const notThere = () => -ERRNO.ENOSYS;

/** Calls on the nodes of memory. */
export const memoryPolicyCalls: SyscallTable = {
  mbind: notThere,
  get_mempolicy: notThere,
  set_mempolicy: notThere,
  set_mempolicy_home_node: notThere,
  migrate_pages: notThere,
  move_pages: notThere,
};

const REFUSAL = "ENOSYS, as without NUMA";

/** What a program gets of them. */
export const memoryPolicyRefused = {
  mbind: REFUSAL,
  get_mempolicy: REFUSAL,
  set_mempolicy: REFUSAL,
  set_mempolicy_home_node: REFUSAL,
  migrate_pages: REFUSAL,
  move_pages: REFUSAL,
} as const satisfies RefusedTable;
