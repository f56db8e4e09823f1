/**
 * Which task has the vCPU: all tasks share the one there is.
 *
 * @module
 */

import { type KvmVcpu, REG } from "../kvm/mod.ts";
import { type Clock, type FdTable, Waits } from "../devices/mod.ts";
import { yieldToEventLoop } from "../state/mod.ts";
import type { Process } from "./process.ts";
import { SYS } from "./syscall_numbers.ts";
import type { Task } from "./task.ts";
import { TaskRegisters } from "./task_registers.ts";

/** High half of addresses at and above the `syscall` stub's. */
const STUB_HIGH = 0x7fff;
const STUB_LOW = 0xffff_f000;

/** Calls that look anew what a descriptor is when something has happened. */
const LOOKS_AGAIN = new Set<number>([
  SYS.poll,
  SYS.ppoll,
  SYS.select,
  SYS.pselect6,
]);

/** What happens at times of its own. */
export interface Timed {
  /** Does what is to be done by now. */
  expire(isIdle: boolean): void;
  /** Milliseconds to the next time that comes, rounded up; none: Infinity. */
  leftMs(isIdle: boolean): number;
}

/** Chooses the task that runs, and brings its registers into the vCPU. */
export class Scheduler {
  readonly #vcpu: KvmVcpu;
  readonly #process: Process;
  readonly #clock: Clock;
  readonly #fds: FdTable;
  /** Tasks that can go on, the next one first. */
  readonly #ready: Task[] = [];
  readonly #waits: Waits<Task>;
  /** Tasks whose call waits, in the order in which they began to. */
  readonly #blocked = new Set<Task>();
  /** What else has its times. */
  timers: Timed | undefined;
  /** Whether no task goes on, whatever it waits for. */
  #isHeld = false;
  /** Told when a task becomes ready, while somebody waits for that. */
  #onReady: (() => void) | undefined;

  /** @param process whose tasks share the vCPU */
  constructor(vcpu: KvmVcpu, process: Process, fds: FdTable, clock: Clock) {
    this.#vcpu = vcpu;
    this.#process = process;
    this.#clock = clock;
    this.#fds = fds;
    fds.onClose = (fd) => this.#keepOpen(fd);
    this.#waits = new Waits(fds, clock, (task) => this.wake(task));
  }

  /** The task whose registers are in the vCPU. */
  get current(): Task {
    return this.#process.current;
  }

  /** Whether another task than the current one can go on. */
  get hasReady(): boolean {
    return !this.#isHeld && this.#ready.length > 0;
  }

  /** Whether no task goes on: the process is stopped. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Lets no task go on until {@linkcode release}. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Lets tasks go on again. */
  release(): void {
    this.#isHeld = false;
    if (this.hasReady) this.#onReady?.();
  }

  /** Puts a task at the end of those that can go on. */
  wake(task: Task): void {
    if (task.isReady || task.hasEnded) return;
    this.#waits.remove(task);
    task.isReady = true;
    this.#ready.push(task);
    if (!this.#isHeld) this.#onReady?.();
  }

  /** Has a task look for signals: its call ends, or it leaves the vCPU. */
  interrupt(task: Task): void {
    if (this.#blocked.has(task)) this.wake(task);
    else if (!this.#isHeld) this.#onReady?.();
  }

  /** Notes that a task waits in its call. */
  block(task: Task): void {
    this.#blocked.add(task);
    this.#waits.add(task, task.call!);
  }

  /** Notes that a task's call has ended. */
  unblock(task: Task): void {
    task.call = null;
    if (this.#blocked.delete(task)) this.#waits.remove(task);
    this.#fds.letGo(task.tid);
  }

  /** Calls that wait for a descriptor go on with its file when it is closed. */
  #keepOpen(fd: number): void {
    for (const task of this.#blocked) {
      const { number, waitsFor } = task.call!;
      const waits = waitsFor.some((one) => one.descriptor === fd);
      if (waits && !LOOKS_AGAIN.has(number)) this.#fds.keep(task.tid, fd);
    }
  }

  /** Tasks whose call waits, in the order in which they began to. */
  get blocked(): Iterable<Task> {
    return this.#blocked;
  }

  /** Takes a task that has ended out of everything. */
  remove(task: Task): void {
    task.hasEnded = true;
    this.unblock(task);
    this.#fds.giveUp(task.tid, true);
    this.#process.tasks.delete(task.tid);
    if (!task.isReady) return;
    task.isReady = false;
    this.#ready.splice(this.#ready.indexOf(task), 1);
  }

  /** The next task that can go on, now the current one; undefined: none can. */
  next(): Task | undefined {
    this.#waits.check();
    const task = this.#isHeld ? undefined : this.#ready.shift();
    if (!task) return undefined;
    task.isReady = false;
    this.switchTo(task);
    return task;
  }

  /** Brings a task's registers into the vCPU, and keeps those of the current. */
  switchTo(task: Task): void {
    const { current } = this.#process;
    const now = this.#clock.monotonicNs();
    if (task === current) return this.#account(task, now);
    if (!current.hasEnded) {
      current.registers ??= new TaskRegisters(this.#vcpu.xsaveBytes);
      current.registers.take(this.#vcpu);
      current.state.offSinceNs ??= now;
    }
    task.registers!.put(this.#vcpu);
    this.#account(task, now);
    this.#process.current = task;
  }

  /** Brings some task's registers into the vCPU: the current one has ended. */
  switchToAny(): void {
    for (const task of this.#process.tasks.values()) {
      return this.switchTo(task);
    }
  }

  /** Counts the time that a task had no CPU, up to now: it has one again. */
  #account(task: Task, now: number): void {
    const { state } = task;
    if (state.offSinceNs === null) return;
    state.waitedNs += Math.max(0, now - state.offSinceNs);
    state.offSinceNs = null;
  }

  /** Nanoseconds that a task has had a CPU. */
  cpuNs({ state }: Task): number {
    const now = state.offSinceNs ?? this.#clock.monotonicNs();
    return Math.max(0, now - state.waitedNs);
  }

  /**
   * Whether the current task can be left, to be gone on with later: it is
   * between two instructions of its own, and no exception is being delivered.
   */
  get canSwitch(): boolean {
    const { run } = this.#vcpu;
    if (run.syncCsDpl !== 3) return false;
    const regs = run.syncRegsU32;
    const high = regs[REG.rip + 1];
    const isStub = high > STUB_HIGH ||
      (high === STUB_HIGH && regs[REG.rip] >= STUB_LOW);
    if (isStub) return false;
    const events = this.#vcpu.getVcpuEvents();
    return events.exception_injected === 0 && events.exception_pending === 0 &&
      events.interrupt_injected === 0 && events.nmi_injected === 0;
  }

  /**
   * Makes those ready whose time has come.
   *
   * @param isIdle whether nobody has a CPU
   */
  expire(isIdle = false): void {
    this.#waits.expire();
    this.timers?.expire(isIdle);
  }

  #leftMs(isIdle: boolean): number {
    const timers = this.timers?.leftMs(isIdle) ?? Infinity;
    return Math.min(this.#waits.leftMs(), timers);
  }

  /** Resolves when a task may be ready, or when `signal` aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    if (this.hasReady || signal.aborted) return;
    const from = this.#clock.monotonicNs();
    const { current } = this;
    if (!current.hasEnded) current.state.offSinceNs ??= from;
    if (this.#leftMs(true) === 0) {
      // Another turn of the event loop comes first.
      await yieldToEventLoop();
      this.expire(true);
    } else {
      const { promise, resolve } = Promise.withResolvers<void>();
      const stop = this.watch(resolve, true);
      const leave = () => resolve();
      signal.addEventListener("abort", leave);
      await promise;
      signal.removeEventListener("abort", leave);
      stop();
    }
    const now = this.#clock.monotonicNs();
    this.#process.state.waitedNs += Math.max(0, now - from);
  }

  /**
   * Calls `onReady` when a task becomes ready, its time included, until what is
   * returned is called.
   *
   * @param isIdle whether nobody has a CPU
   */
  watch(onReady: () => void, isIdle = false): () => void {
    this.#onReady = onReady;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const arm = () => {
      const leftMs = this.#leftMs(isIdle);
      if (leftMs === Infinity) return;
      timer = setTimeout(() => {
        this.expire(isIdle);
        if (!this.hasReady) arm();
      }, leftMs);
    };
    arm();
    return () => {
      this.#onReady = undefined;
      clearTimeout(timer);
    };
  }

  /** Ends what is waited for in the host: the VM is paused. */
  async stopWaits(): Promise<void> {
    await this.#waits.stop();
  }

  /** Has every call that waits tried again. */
  retryAll(): void {
    for (const task of [...this.#blocked]) this.wake(task);
  }
}
