/**
 * What Linux keeps of a process besides its memory, registers and files.
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

const actionState = v.object({
  /** Number of the signal. */
  signal: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)),
  /** SIG_DFL (0), SIG_IGN (1) or an address. */
  handler: u64,
  /** SA_* flags. */
  flags: u64,
  /** Where the handler returns to. */
  restorer: u64,
  /** Signals blocked while the handler runs. */
  mask: u64,
});

/** How a process travels. */
export const processState = {
  kind: "process",
  version: 1,
  schema: v.object({
    pid: v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(0x7fff_ffff),
    ),
    /** Path of the program, as text. */
    executable: v.string(),
    /** argv as text, for people who look at the image. */
    arguments: v.array(v.string()),
    /** The current folder, a character a byte. */
    cwd: v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096)),
    umask: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o777)),
    /** The name that prctl(PR_SET_NAME) sets. */
    name: v.pipe(v.string(), v.maxLength(15)),
    /** set_tid_address(2). */
    clearChildTid: count,
    /** set_robust_list(2). */
    robustList: count,
    /** rseq(2): address, and signature. */
    rseq: v.object({ address: count, signature: count }),
    /** Blocked signals, bit n-1 for signal n. */
    signalMask: u64,
    /** Signals that were raised while blocked, in the same form. */
    signalsPending: v.optional(u64, 0n),
    /** sigaltstack(2): address, size and flags. */
    signalStack: v.object({ address: count, sizeBytes: count, flags: count }),
    /** What was set for signals that are not at their default. */
    signalActions: v.array(actionState),
    /** Limits that were changed: number, soft, hard. */
    limits: v.array(v.tuple([count, u64, u64])),
    /**
     * Nanoseconds of CLOCK_MONOTONIC that its calls have waited; it had a CPU
     * for the rest.
     */
    waitedNs: count,
  }),
} satisfies StateSchema<unknown>;

/** The state of a process, version 1. */
export type ProcessStateV1 = v.InferOutput<typeof processState.schema>;

/** What sigaction(2) sets for one signal. */
export type SignalAction = v.InferOutput<typeof actionState>;

/** A process. */
export class Process implements Component {
  readonly id = "process";
  readonly kind: string = processState.kind;
  readonly version: number = processState.version;
  /** All that travels, but signal actions and limits. */
  readonly state: Omit<ProcessStateV1, "signalActions" | "limits">;
  /** By signal; those at their default are left out. */
  readonly signalActions = new Map<number, SignalAction>();
  /** Soft and hard limit by number; those at their default are left out. */
  readonly limits = new Map<number, readonly [soft: bigint, hard: bigint]>();

  /** @param state a new process's, or one that was saved */
  constructor(state: ProcessStateV1) {
    const { signalActions, limits, ...rest } = state;
    this.state = structuredClone(rest);
    for (const action of signalActions) {
      this.signalActions.set(action.signal, action);
    }
    for (const [which, soft, hard] of limits) {
      this.limits.set(which, [soft, hard]);
    }
  }

  /** The state of a process that has just begun. */
  static initial(
    executable: string,
    argv: readonly string[],
    cwd: string,
    umask: number,
  ): ProcessStateV1 {
    return {
      pid: 100,
      executable,
      arguments: [...argv],
      cwd,
      umask,
      name: executable.slice(executable.lastIndexOf("/") + 1).slice(0, 15),
      clearChildTid: 0,
      robustList: 0,
      rseq: { address: 0, signature: 0 },
      signalMask: 0n,
      signalsPending: 0n,
      signalStack: { address: 0, sizeBytes: 0, flags: 2 },
      signalActions: [],
      limits: [],
      waitedNs: 0,
    };
  }

  /** Answers with everything. */
  dump(): Dump {
    const state: ProcessStateV1 = {
      ...this.state,
      signalActions: [...this.signalActions.values()]
        .sort((a, b) => a.signal - b.signal),
      limits: [...this.limits]
        .sort((a, b) => a[0] - b[0])
        .map(([which, [soft, hard]]): [number, bigint, bigint] => [
          which,
          soft,
          hard,
        ]),
    };
    return { answer: "payload", value: state };
  }
}
