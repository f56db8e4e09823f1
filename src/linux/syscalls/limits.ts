/**
 * Resource limits, and what follows from them for descriptors.
 *
 * @module
 */

import { MAX_DESCRIPTORS, type OpenFile } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { STACK_BYTES } from "../space_layout.ts";

/** How many limits there are (asm-generic/resource.h). */
export const RLIM_COUNT = 16;

/** Number of the limit on descriptors. */
const RLIMIT_NOFILE = 7;

const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;
const DEFAULT_LIMITS: Record<number, readonly [bigint, bigint]> = {
  3: [BigInt(STACK_BYTES), RLIM_INFINITY], // RLIMIT_STACK
  4: [0n, RLIM_INFINITY], // RLIMIT_CORE
  [RLIMIT_NOFILE]: [BigInt(MAX_DESCRIPTORS), BigInt(MAX_DESCRIPTORS)],
  13: [0n, 0n], // RLIMIT_NICE
  14: [0n, 0n], // RLIMIT_RTPRIO
};

/** The limit numbered `which`: soft and hard. */
export function limitOf(
  linux: Linux,
  which: number,
): readonly [soft: bigint, hard: bigint] {
  return linux.process.limits.get(which) ?? DEFAULT_LIMITS[which] ??
    [RLIM_INFINITY, RLIM_INFINITY];
}

/** The first number that no new descriptor may have. */
export function descriptorLimit(linux: Linux): number {
  return Number(limitOf(linux, RLIMIT_NOFILE)[0]);
}

/**
 * Points the lowest free descriptor from `minimum` on at `file`.
 *
 * @returns its number, or -EMFILE (then `file`, if nothing else points to it,
 * is closed)
 */
export function install(
  linux: Linux,
  file: OpenFile,
  closeOnExec: boolean,
  minimum = 0,
): number {
  const limit = descriptorLimit(linux);
  return linux.fds.install(file, closeOnExec, { minimum, limit });
}

/** Whether one more descriptor may be opened: 0 or -EMFILE. */
export function hasDescriptorLeft(linux: Linux): number {
  return linux.fds.hasFree(descriptorLimit(linux)) ? 0 : -ERRNO.EMFILE;
}
