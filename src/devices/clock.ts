/**
 * The clocks a program sees.
 *
 * Wall-clock time is the host's. Monotonic time goes on after a thaw from where
 * it was at the freeze: for the program no time has passed.
 *
 * @module
 */

import * as v from "valibot";
import { libc } from "../kvm/mod.ts";
import {
  type Component,
  count,
  type Dump,
  type StateSchema,
} from "../state/mod.ts";

/** How a clock travels. */
export const clockState = {
  kind: "clock",
  version: 1,
  schema: v.object({
    /** CLOCK_MONOTONIC at the freeze, nanoseconds. */
    monotonicNs: count,
  }),
} satisfies StateSchema<unknown>;

/** The state of a clock, version 1. */
export type ClockStateV1 = v.InferOutput<typeof clockState.schema>;

/** Wall-clock and monotonic time. */
export class Clock implements Component {
  readonly id = "clock";
  readonly kind: string = clockState.kind;
  readonly version: number = clockState.version;
  /** What to add to the host's monotonic time, nanoseconds. */
  #offsetNs: number;
  #frozenNs: number | undefined;
  /** Called when monotonic time stops, or was stopped already. */
  onStop: () => void = () => {};

  /**
   * A clock that starts at zero, now; with a saved state, one that stands where
   * that stood, until it is started.
   */
  constructor(state?: ClockStateV1) {
    this.#offsetNs = -hostNs();
    this.#frozenNs = state?.monotonicNs;
  }

  /** Nanoseconds since the program began, times frozen left out. */
  monotonicNs(): number {
    return this.#frozenNs ?? hostNs() + this.#offsetNs;
  }

  /**
   * The host's monotonic time at a time of this clock, nanoseconds: one that
   * does not stand still where this one did. Only while it goes on.
   */
  hostNs(monotonicNs: number): number {
    return monotonicNs - this.#offsetNs;
  }

  /** Wall-clock time as {@linkcode readRealtime} found it: whole seconds. */
  seconds = 0;
  /** The rest of it, nanoseconds. */
  nanoseconds = 0;

  /** Reads the wall clock into `seconds` and `nanoseconds`. */
  readRealtime(): void {
    libc.clock_gettime(CLOCK_REALTIME, timeBytes);
    this.seconds = timeWords[1] * 0x1_0000_0000 + timeWords[0];
    this.nanoseconds = timeWords[2];
  }

  /**
   * The monotonic time that is so long from now; the latest there is when that
   * is beyond what can be counted.
   */
  deadlineNs(seconds: number, nanoseconds: number): number {
    const end = this.monotonicNs() + seconds * 1e9 + nanoseconds;
    return Math.min(end, Number.MAX_SAFE_INTEGER);
  }

  /** Stops monotonic time: the VM is paused. */
  stop(): void {
    this.#frozenNs ??= this.monotonicNs();
    this.onStop();
  }

  /** Lets monotonic time go on from where it stopped. */
  start(): void {
    if (this.#frozenNs === undefined) return;
    this.#offsetNs = this.#frozenNs - hostNs();
    this.#frozenNs = undefined;
  }

  /** Answers with the time that the program has seen. */
  dump(): Dump {
    const state: ClockStateV1 = { monotonicNs: this.monotonicNs() };
    return { answer: "payload", value: state };
  }
}

/** Clocks (linux/time.h). */
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;

/** Scratch for a `struct timespec`. */
const timeBytes = new Uint8Array(16);
const timeWords = new Uint32Array(timeBytes.buffer);

/** The host's monotonic time, nanoseconds. */
function hostNs(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, timeBytes);
  return (timeWords[1] * 0x1_0000_0000 + timeWords[0]) * 1e9 + timeWords[2];
}
