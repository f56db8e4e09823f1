/**
 * Where a program's vDSO is, and what the page of data before it holds.
 *
 * The code of the vDSO is in the program's memory and travels with it: what is
 * said here holds for as long as there are such images. guest/vdso.S has the
 * same numbers.
 *
 * @module
 */

import { PAGE_BYTES } from "../../vmm/mod.ts";

/** First address behind the vDSO: the stack's last block ends here. */
export const VDSO_END_VA = 0x7ffe_0000_0000;

/** Where the vDSO's image is, one page: what AT_SYSINFO_EHDR says. */
export const VDSO_VA: number = VDSO_END_VA - PAGE_BYTES;

/** The page of data that its code reads, right before it. */
export const VVAR_VA: number = VDSO_VA - PAGE_BYTES;

/**
 * Bytes between the top of the stack and `VDSO_END_VA`; the page before the data
 * stays free. So the vDSO needs no block of memory of its own.
 */
export const VDSO_SPAN_BYTES: number = 4 * PAGE_BYTES;

/** Where in the image its code begins. */
export const CODE_OFFSET = 0x400;

/** What a program finds in the page of data; offsets in bytes. */
export const VVAR = {
  /**
   * 32 bits: odd while the page gives no time. Another number whenever what
   * follows is changed.
   */
  sequence: 0,
  /** 32 bits: {@linkcode VVAR_LAYOUT}. Another layout would be another number. */
  layout: 4,
  /** 32 bits: whether a call that leaves is to bring readings of the TSC. */
  asks: 8,
  /** 64 bits: a reading of the time-stamp counter. */
  baseTsc: 16,
  /** 64 bits: for how many ticks from there the page gives the time. */
  windowTicks: 24,
  /** 64 bits: nanoseconds a tick, times 2^32. */
  multiplier: 32,
  /** CLOCK_MONOTONIC: three of {@linkcode VVAR_CLOCK}. */
  monotonic: 40,
  /** CLOCK_REALTIME, likewise. */
  realtime: 64,
} as const;

/** Of each clock in the page of data, 64 bits each; offsets in bytes. */
export const VVAR_CLOCK = {
  /** Whole seconds at `baseTsc`. */
  seconds: 0,
  /** The rest, nanoseconds. */
  nanoseconds: 8,
  /** Nanoseconds that have passed at least since `baseTsc`. */
  floorNs: 16,
} as const;

/** The layout of the page of data that is described here. */
export const VVAR_LAYOUT = 1;

/**
 * The third argument of a system call that brings readings of the TSC: the
 * fourth is one from before the first of two calls, and the fifth of the second
 * call one from after the first.
 */
export const TSC_CALL = { begin: 0x6263_7374, end: 0x6563_7374 } as const;
