/**
 * The ranges of addresses that calls on memory name.
 *
 * @module
 */

import { PAGE_BYTES } from "../../vmm/mod.ts";
import type { Registers } from "../registers.ts";
import { pageCeil } from "../space_layout.ts";

/** The last page of a 64-bit address space. */
const LAST_PAGE = 0xffff_ffff_ffff_f000n;

/** Whether argument `i` is a multiple of the page size. */
export function isAligned(args: Registers, i: number): boolean {
  return args.uint(i) % PAGE_BYTES === 0;
}

/**
 * Argument `i` in whole pages, as PAGE_ALIGN in 64 bits has it: a length less
 * than a page below 2^64 becomes zero.
 */
export function pages(args: Registers, i: number): number {
  const length = args.u64(i);
  if (length < Number.MAX_SAFE_INTEGER) return pageCeil(length);
  return args.big(i) > LAST_PAGE ? 0 : length;
}

/** Whether the range that arguments 0 and 1 name ends above 2^64. */
export function isBeyond64Bits(args: Registers): boolean {
  return args.big(0) + args.big(1) > LAST_PAGE;
}
