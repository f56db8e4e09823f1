/**
 * The clocks a program sees.
 *
 * Wall-clock time is the host's. Monotonic time goes on after a thaw from where
 * it was at the freeze: for the program no time has passed.
 *
 * @module
 */

import * as v from "valibot";
import type { Component, Dump, StateSchema } from "../state/mod.ts";

/** How a clock travels. */
export const clockState = {
  kind: "clock",
  version: 1,
  schema: v.object({
    /** CLOCK_MONOTONIC at the freeze, nanoseconds. */
    monotonicNs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  }),
} satisfies StateSchema<unknown>;

/** The state of a clock, version 1. */
export type ClockStateV1 = v.InferOutput<typeof clockState.schema>;

/** Wall-clock and monotonic time. */
export class Clock implements Component {
  readonly id = "clock";
  readonly kind: string = clockState.kind;
  readonly version: number = clockState.version;
  /** What to add to the host's `performance.now()`, in nanoseconds. */
  #offsetNs: number;
  #frozenNs: number | undefined;

  /** A clock that starts at zero, or goes on from a saved state. */
  constructor(state: ClockStateV1 = { monotonicNs: 0 }) {
    this.#offsetNs = state.monotonicNs - hostNs();
  }

  /** Nanoseconds since the program began, times frozen left out. */
  monotonicNs(): number {
    return this.#frozenNs ?? hostNs() + this.#offsetNs;
  }

  /** Milliseconds since 1970, with a fraction. */
  realtimeMs(): number {
    return performance.timeOrigin + performance.now();
  }

  /** Stops monotonic time: the VM is paused. */
  stop(): void {
    this.#frozenNs ??= this.monotonicNs();
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

/** The host's monotonic time, whole nanoseconds (to about a microsecond). */
function hostNs(): number {
  return Math.round(performance.now() * 1e6);
}
