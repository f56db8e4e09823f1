/**
 * The system call that waits.
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
  yieldToEventLoop,
} from "../state/mod.ts";
import type { Clock } from "./clock.ts";
import type { FdTable } from "./fd_table.ts";
import type { OpenFile } from "./open_file.ts";

/** How a waiting call travels. */
export const pendingState = {
  kind: "pending-io",
  version: 1,
  schema: v.object({
    /** The call that waits; null when none does. */
    call: v.nullable(v.object({
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
      /** Descriptors it waits for, and for which of poll's events. */
      waitsFor: v.array(v.object({ descriptor: count, events: count })),
    })),
  }),
} satisfies StateSchema<unknown>;

/** The state of pending I/O, version 1. */
export type PendingStateV1 = v.InferOutput<typeof pendingState.schema>;

/** A call that waits. */
export type PendingCall = NonNullable<PendingStateV1["call"]>;

/** Longest timer that setTimeout takes, ms. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** Pending I/O: at most one call, as there is one thread. */
export class PendingIo implements Component {
  readonly id = "pending-io";
  readonly kind: string = pendingState.kind;
  readonly version: number = pendingState.version;
  /** The call that waits. */
  call: PendingCall | null;

  /** @param state what was saved */
  constructor(state: PendingStateV1 = { call: null }) {
    this.call = state.call;
  }

  /** Answers with the call that waits, if one does. */
  dump(): Dump {
    const state: PendingStateV1 = { call: this.call };
    return { answer: "payload", value: state };
  }

  /** Resolves when the call may be tried again, or when `signal` aborts. */
  async wait(fds: FdTable, clock: Clock, signal: AbortSignal): Promise<void> {
    const { call } = this;
    if (!call || signal.aborted) return;
    if (call.deadlineNs !== null && call.deadlineNs <= clock.monotonicNs()) {
      return await yieldToEventLoop();
    }
    const settled = new AbortController();
    const either = AbortSignal.any([signal, settled.signal]);
    let timer: ReturnType<typeof setTimeout> | undefined;
    // These settle at the latest when `either` aborts.
    const waits: Promise<void>[] = [
      new Promise((resolve) => {
        either.addEventListener("abort", () => resolve(), { once: true });
      }),
    ];
    const deadline: Promise<void>[] = [];
    // Each file once, however many descriptors of it are waited for.
    const files = new Map<OpenFile, number>();
    for (const { descriptor, events } of call.waitsFor) {
      const file = fds.file(descriptor);
      if (file) files.set(file, (files.get(file) ?? 0) | events);
    }
    for (const [file, events] of files) waits.push(file.wait(events, either));
    if (call.deadlineNs !== null) {
      const leftMs = (call.deadlineNs - clock.monotonicNs()) / 1e6;
      const ms = Math.min(Math.max(Math.ceil(leftMs), 0), MAX_TIMER_MS);
      deadline.push(
        new Promise((resolve) => {
          timer = setTimeout(resolve, ms);
        }),
      );
    }
    try {
      await Promise.race([...waits, ...deadline]);
    } finally {
      clearTimeout(timer);
      settled.abort();
      // Every wait has ended before the call is tried again.
      await Promise.allSettled(waits);
    }
  }
}
