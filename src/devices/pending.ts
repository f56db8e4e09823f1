/**
 * System calls that wait.
 *
 * A call that cannot finish yet leaves its registers as they are and notes here
 * what is done so far. It is tried again when what it waits for may be there,
 * whether in this process or, after a thaw, in another.
 *
 * @module
 */

import * as v from "valibot";
import {
  type Component,
  count,
  type Dump,
  type StateSchema,
  u64,
} from "../state/mod.ts";

/** Most calls that can wait: one a task. */
const MAX_CALLS = 1024;

/** Most futexes that one call waits at (linux/futex.h's FUTEX_WAITV_MAX). */
export const MAX_FUTEXES = 128;

/** A futex that a call waits at. */
const futexState = v.object({
  address: count,
  /** Which wakes are for it. */
  bitset: count,
  /** Whether one has come. */
  isWoken: v.boolean(),
});

/** A futex that a call waits at. */
export type FutexWait = v.InferOutput<typeof futexState>;

const callState = v.object({
  /** Its name, "read". */
  operation: v.pipe(v.string(), v.maxLength(32)),
  /** Its number. */
  number: count,
  /** Its six arguments, unsigned. */
  arguments: v.pipe(v.array(u64), v.length(6)),
  /** Bytes that were moved already. */
  doneBytes: count,
  /** When it ends at the latest, nanoseconds of CLOCK_MONOTONIC. */
  deadlineNs: v.nullable(v.pipe(v.number(), v.safeInteger())),
  /** Of a sleep by CPU time: what its clock is to show, nanoseconds. */
  cpuNs: v.optional(count),
  /** Descriptors it waits for, and for which of poll's events. */
  waitsFor: v.array(v.object({ descriptor: count, events: count })),
  /** The futex it waits at. */
  futex: v.optional(futexState),
  /** The futexes it waits at, of which any ends it. */
  futexes: v.optional(v.pipe(v.array(futexState), v.maxLength(MAX_FUTEXES))),
});

/** How waiting calls travel. */
export const pendingState = {
  kind: "pending-io",
  version: 3,
  schema: v.object({
    /** The calls that wait, in the order in which they began to. */
    calls: v.pipe(
      v.array(v.object({
        /** Whose call it is: the place of its task in the process, from 0. */
        task: count,
        /** The call. */
        call: callState,
      })),
      v.maxLength(MAX_CALLS),
      v.check(
        (calls) => new Set(calls.map(({ task }) => task)).size === calls.length,
        "two calls are of the same task",
      ),
    ),
  }),
  upgrades: {
    /** Version 1 had the call of the only task. */
    1: (old: unknown) => {
      const { call } = old as { call: unknown };
      return { calls: call === null ? [] : [{ task: 0, call }] };
    },
    /** Version 2 had no sleeps by CPU time, and no waits at many futexes. */
    2: (old: unknown) => old,
  },
} satisfies StateSchema<unknown>;

/** The state of pending I/O, version 3. */
export type PendingStateV3 = v.InferOutput<typeof pendingState.schema>;

/** A call that waits. */
export type PendingCall = v.InferOutput<typeof callState>;

/** The component that dumps the calls that wait. */
export class PendingSaver implements Component {
  readonly id = "pending-io";
  readonly kind: string = pendingState.kind;
  readonly version: number = pendingState.version;
  readonly #state: () => PendingStateV3;

  /** @param state gives the calls that wait now */
  constructor(state: () => PendingStateV3) {
    this.#state = state;
  }

  /** Answers with the calls that wait. */
  dump(): Dump {
    return { answer: "payload", value: this.#state() };
  }
}
