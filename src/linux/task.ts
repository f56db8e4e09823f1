/**
 * A task: one thread of the program.
 *
 * @module
 */

import * as v from "valibot";
import type { PendingCall } from "../devices/mod.ts";
import { count, u64 } from "../state/mod.ts";
import { queueState } from "./signals/state.ts";
import { TaskRegisters, taskRegistersState } from "./task_registers.ts";

/** A number of a process or a task. */
export const taskId = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1),
  v.maxValue(0x3fff_ffff),
);

/** How a task travels. */
export const taskState = v.object({
  /** gettid(2). */
  tid: taskId,
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
  /** What is to be blocked again after a call that blocks others, if it is in one. */
  savedMask: v.nullable(u64),
  /** Signals sent to it that wait. */
  signals: queueState,
  /** sigaltstack(2): address, size and flags. */
  signalStack: v.object({ address: count, sizeBytes: count, flags: count }),
  /** Nanoseconds of CLOCK_MONOTONIC that it had no CPU. */
  waitedNs: count,
  /** Since when it has none, in the same clock; null while it has one. */
  offSinceNs: v.nullable(count),
  /** Its registers; null for the one that is on the vCPU. */
  registers: v.nullable(taskRegistersState),
});

/** The state of a task. */
export type TaskState = v.InferOutput<typeof taskState>;

/** A task. */
export class Task {
  /** All that travels, but its registers. */
  readonly state: Omit<TaskState, "registers">;
  /** Its registers, up to date while it is not on the vCPU. */
  registers: TaskRegisters | undefined;
  /** Its system call that waits. */
  call: PendingCall | null = null;
  /** Whether it is in the queue of those that can go on. */
  isReady = false;
  /** Whether it has ended. */
  hasEnded = false;

  /** @param state a new task's, or one that was saved */
  constructor({ registers, ...state }: TaskState) {
    this.state = structuredClone(state);
    if (registers) this.registers = TaskRegisters.of(registers);
  }

  /** gettid(2). */
  get tid(): number {
    return this.state.tid;
  }

  /** What travels. @param isCurrent whether it is on the vCPU */
  dump(isCurrent: boolean): TaskState {
    return {
      ...this.state,
      registers: isCurrent ? null : this.registers!.state(),
    };
  }

  /** The state of a program's first task. */
  static initial(tid: number, name: string): TaskState {
    return {
      tid,
      name,
      clearChildTid: 0,
      robustList: 0,
      rseq: { address: 0, signature: 0 },
      signalMask: 0n,
      savedMask: null,
      signals: [],
      signalStack: { address: 0, sizeBytes: 0, flags: 2 },
      waitedNs: 0,
      offSinceNs: null,
      registers: null,
    };
  }
}
