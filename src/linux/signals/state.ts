/**
 * How signals that wait, and timers that send them, travel.
 *
 * @module
 */

import * as v from "valibot";
import { bytes, count, u64 } from "../../state/mod.ts";
import { INFO_BYTES } from "./info.ts";

/**
 * Most signals that wait in one queue; those that queue, in all queues of the
 * process together.
 */
export const MAX_QUEUED = 8192;

/** Most timers that a program may have at a time. */
export const MAX_TIMERS = 4096;

/** The number of a signal. */
export const signalNumber = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1),
  v.maxValue(64),
);

function oneOf(...allowed: number[]): v.GenericSchema<unknown, number> {
  return v.pipe(v.number(), v.values(allowed));
}

/** Signals that wait, the one that was sent first before the others. */
export const queueState = v.pipe(
  v.array(v.object({
    /** Its number. */
    signal: signalNumber,
    /** Its `siginfo_t`. */
    info: v.pipe(
      bytes(INFO_BYTES),
      v.check((info) => info.length === INFO_BYTES, "must be 128 bytes"),
    ),
  })),
  v.maxLength(MAX_QUEUED),
);

/** A timer of setitimer's. */
export const intervalTimerState = v.object({
  /** ITIMER_REAL (0), ITIMER_VIRTUAL (1) or ITIMER_PROF (2). */
  which: oneOf(0, 1, 2),
  /** When it expires next, nanoseconds of its clock. */
  nextNs: count,
  /** After how long again; 0 for never. */
  intervalNs: count,
});

/** A timer that only expires (signal.h). */
const SIGEV_NONE = 1;

/** A timer of timer_create's. */
export const timerState = v.pipe(
  v.object({
    /** Its number. */
    id: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0x7fff_ffff)),
    /** Its clock: CLOCK_*. */
    clock: oneOf(0, 1, 2, 3, 7),
    /** Of CLOCK_THREAD_CPUTIME_ID: whose thread's time it is; else 0. */
    cpuTid: count,
    /** SIGEV_SIGNAL (0), SIGEV_NONE (1), SIGEV_THREAD (2), SIGEV_THREAD_ID (4). */
    notify: oneOf(0, 1, 2, 4),
    /** Which signal it sends. */
    signal: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(64)),
    /** To which thread, with SIGEV_THREAD_ID. */
    tid: count,
    /** What it sends along. */
    value: u64,
    /**
     * When it expires next, nanoseconds of CPU time, or of CLOCK_MONOTONIC for any
     * other clock; null: it does not.
     */
    nextNs: v.nullable(count),
    /** After how long again; 0 for never. */
    intervalNs: count,
    /** How often it expired since its signal was sent, which waits still. */
    missed: count,
    /** What timer_getoverrun gives. */
    overrun: count,
  }),
  v.check(
    ({ notify, signal }) => signal > 0 || notify === SIGEV_NONE,
    "must send a signal",
  ),
);

/** A timer of setitimer's. */
export type IntervalTimer = v.InferOutput<typeof intervalTimerState>;

/** A timer of timer_create's. */
export type PosixTimer = v.InferOutput<typeof timerState>;
