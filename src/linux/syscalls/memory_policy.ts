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

/** What a program gets of them. */
export const memoryPolicyRefused = {
  mbind: "ENOSYS, as without NUMA",
  get_mempolicy: "ENOSYS, as without NUMA",
  set_mempolicy: "ENOSYS, as without NUMA",
  set_mempolicy_home_node: "ENOSYS, as without NUMA",
  migrate_pages: "ENOSYS, as without NUMA",
  move_pages: "ENOSYS, as without NUMA",
} as const satisfies RefusedTable;
