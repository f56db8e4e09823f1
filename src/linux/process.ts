/**
 * What Linux keeps of a process besides its memory and files: what its threads
 * share, and the threads.
 *
 * @module
 */

import * as v from "valibot";
import {
  bytePath,
  type Component,
  count,
  type Dump,
  type StateSchema,
  u64,
} from "../state/mod.ts";
import { CurrentFolder } from "./current_folder.ts";
import { bitOf } from "./signals/sets.ts";
import { CODE, type PendingSignal, sentBy } from "./signals/info.ts";
import {
  intervalTimerState,
  MAX_TIMERS,
  queueState,
  signalNumber,
  timerState,
} from "./signals/state.ts";
import { Task, taskId, type TaskState, taskState } from "./task.ts";

/** Most threads that a program may have at a time. */
export const MAX_TASKS = 1024;

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
  version: 4,
  schema: v.pipe(
    v.object({
      pid: taskId,
      /** Path of the program, as text. */
      executable: v.string(),
      /** argv as text, for people who look at the image. */
      arguments: v.array(v.string()),
      /** The current folder, a character a byte. */
      cwd: bytePath,
      umask: v.pipe(
        v.number(),
        v.integer(),
        v.minValue(0),
        v.maxValue(0o777),
      ),
      /** setpriority(2), which has no effect. */
      nice: v.pipe(v.number(), v.integer(), v.minValue(-20), v.maxValue(19)),
      /** Signals sent to all of it that wait. */
      signals: queueState,
      /** The signal that stopped it, until SIGCONT comes; null: it goes on. */
      stopSignal: v.nullable(signalNumber),
      /** Timers of setitimer's that run. */
      intervalTimers: v.pipe(v.array(intervalTimerState), v.maxLength(3)),
      /** Timers of timer_create's. */
      timers: v.pipe(v.array(timerState), v.maxLength(MAX_TIMERS)),
      /** The number that the next of those gets. */
      nextTimer: count,
      /** What was set for signals that are not at their default. */
      signalActions: v.pipe(v.array(actionState), v.maxLength(64)),
      /** Limits that were changed: number, soft, hard. */
      limits: v.array(v.tuple([count, u64, u64])),
      /**
       * Nanoseconds of CLOCK_MONOTONIC that all its tasks have waited; it had a
       * CPU for the rest.
       */
      waitedNs: count,
      /** The number that the next task gets, if it is free. */
      nextTid: taskId,
      /** Which of the tasks is on the vCPU: its place among them, from 0. */
      current: count,
      /** Its threads; the order is that in which they get the vCPU. */
      tasks: v.pipe(
        v.array(taskState),
        v.minLength(1),
        v.maxLength(MAX_TASKS),
      ),
    }),
    v.check(
      ({ tasks }) => new Set(tasks.map(({ tid }) => tid)).size === tasks.length,
      "two tasks have the same number",
    ),
    v.check(
      ({ tasks, current }) =>
        current < tasks.length &&
        tasks.every(({ registers }, i) =>
          (registers === null) === (i === current)
        ),
      "must have the registers of every task but the current one",
    ),
    v.check(
      ({ timers }) =>
        new Set(timers.map(({ id }) => id)).size === timers.length,
      "two timers have the same number",
    ),
  ),
  upgrades: { 1: upgrade1, 2: upgrade2, 3: upgrade3 },
} satisfies StateSchema<unknown>;

/** Version 1 had one task, and its fields among the process's. */
function upgrade1(old: unknown): unknown {
  const {
    name,
    clearChildTid,
    robustList,
    rseq,
    signalMask,
    signalsPending = 0n,
    signalStack,
    ...process
  } = old as TaskState & {
    pid: number;
    waitedNs: number;
    signalsPending?: bigint;
  };
  const { pid, waitedNs } = process;
  return {
    ...process,
    signalsPending: 0n,
    nextTid: pid + 1,
    current: 0,
    tasks: [{
      tid: pid,
      name,
      clearChildTid,
      robustList,
      rseq,
      signalMask,
      signalsPending,
      signalStack,
      waitedNs,
      offSinceNs: null,
      registers: null,
    }],
  };
}

/** Version 2 had sets of signals that wait, which said no more, and no timers. */
function upgrade2(old: unknown): unknown {
  const { signalsPending, tasks, ...process } = old as {
    pid: number;
    signalsPending: bigint;
    tasks: { signalsPending: bigint }[];
  };
  const queue = (set: bigint): PendingSignal[] =>
    Array.from({ length: 64 }, (_, i) => i + 1)
      .filter((signal) => BigInt(set) & bitOf(signal))
      .map((signal) => sentBy(signal, CODE.user, process.pid, 0));
  return {
    ...process,
    signals: queue(signalsPending),
    intervalTimers: [],
    timers: [],
    nextTimer: 0,
    tasks: tasks.map(({ signalsPending, ...task }) => ({
      ...task,
      savedMask: null,
      signals: queue(signalsPending),
    })),
  };
}

/** Version 3 knew of no process that is stopped, and of no timers of CPU time. */
function upgrade3(old: unknown): unknown {
  const { timers, ...process } = old as { timers: object[] };
  return {
    ...process,
    nice: 0,
    stopSignal: null,
    timers: timers.map((timer) => ({ ...timer, cpuTid: 0 })),
  };
}

/** The state of a process, version 4. */
export type ProcessStateV4 = v.InferOutput<typeof processState.schema>;

/** What sigaction(2) sets for one signal. */
export type SignalAction = v.InferOutput<typeof actionState>;

/** What of a process's state stands apart in {@linkcode Process}. */
type Apart = "cwd" | "signalActions" | "limits" | "tasks" | "current";

/** A process. */
export class Process implements Component {
  readonly id = "process";
  readonly kind: string = processState.kind;
  readonly version: number = processState.version;
  /** What its threads share, but signal actions and limits. */
  readonly state: Omit<ProcessStateV4, Apart>;
  /** Where its relative paths begin. */
  readonly folder: CurrentFolder;
  /** By signal; those at their default are left out. */
  readonly signalActions = new Map<number, SignalAction>();
  /** Soft and hard limit by number; those at their default are left out. */
  readonly limits = new Map<number, readonly [soft: bigint, hard: bigint]>();
  /** Its threads, by number. */
  readonly tasks = new Map<number, Task>();
  /** The one whose registers are in the vCPU. */
  current: Task;

  /** @param state a new process's, or one that was saved */
  constructor(state: ProcessStateV4) {
    const { cwd, signalActions, limits, tasks, current, ...rest } = state;
    this.folder = new CurrentFolder(cwd);
    this.state = structuredClone(rest);
    for (const action of signalActions) {
      this.signalActions.set(action.signal, action);
    }
    for (const [which, soft, hard] of limits) {
      this.limits.set(which, [soft, hard]);
    }
    for (const task of tasks) this.tasks.set(task.tid, new Task(task));
    this.current = this.tasks.get(tasks[current].tid)!;
  }

  /** The state of a process that has just begun. */
  static initial(
    executable: string,
    argv: readonly string[],
    cwd: string,
    umask: number,
  ): ProcessStateV4 {
    const pid = 100;
    const name = executable.slice(executable.lastIndexOf("/") + 1).slice(0, 15);
    return {
      pid,
      executable,
      arguments: [...argv],
      cwd,
      nice: 0,
      umask,
      signals: [],
      stopSignal: null,
      intervalTimers: [],
      timers: [],
      nextTimer: 0,
      signalActions: [],
      limits: [],
      waitedNs: 0,
      nextTid: pid + 1,
      current: 0,
      tasks: [Task.initial(pid, name)],
    };
  }

  /** A number for a new task; -1 when there are as many as there may be. */
  allocateTid(): number {
    if (this.tasks.size >= MAX_TASKS) return -1;
    const { state } = this;
    while (this.tasks.has(state.nextTid)) this.#countTid();
    const tid = state.nextTid;
    this.#countTid();
    return tid;
  }

  #countTid(): void {
    // As Linux does where pid_max is 4194304.
    const next = this.state.nextTid + 1;
    this.state.nextTid = next > 0x40_0000 ? this.state.pid + 1 : next;
  }

  /** Answers with everything. */
  dump(): Dump {
    const tasks = [...this.tasks.values()];
    const state: ProcessStateV4 = {
      ...this.state,
      cwd: this.folder.path,
      signalActions: [...this.signalActions.values()]
        .sort((a, b) => a.signal - b.signal),
      limits: [...this.limits]
        .sort((a, b) => a[0] - b[0])
        .map(([which, [soft, hard]]): [number, bigint, bigint] => [
          which,
          soft,
          hard,
        ]),
      current: tasks.indexOf(this.current),
      tasks: tasks.map((task) => task.dump(task === this.current)),
    };
    return { answer: "payload", value: state };
  }
}
