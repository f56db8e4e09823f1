/**
 * Where things are in a program's address space.
 *
 * @module
 */

import { PAGE_BYTES } from "../vmm/mod.ts";
import { VDSO_END_VA, VDSO_SPAN_BYTES } from "./vdso/layout.ts";

/** Lowest address that a program may map (Linux: vm.mmap_min_addr). */
export const LOWEST_VA = 0x1_0000;

/** Where mappings are placed from, downwards. */
export const MMAP_TOP_VA = 0x7fff_0000_0000;

/** First address after the stack; the vDSO is above it. */
export const STACK_TOP_VA: number = VDSO_END_VA - VDSO_SPAN_BYTES;

/** How large the stack may grow (RLIMIT_STACK). */
export const STACK_BYTES = 8 * 1024 * 1024;

/** How much of the stack is populated from the start. */
export const STACK_EAGER_BYTES = 256 * 1024;

/** Rounds up to whole pages. */
export function pageCeil(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
