/**
 * The Linux personality: what stands where a kernel would.
 *
 * @module
 */

import { ERRNO, type KvmVcpu } from "../kvm/mod.ts";
import {
  type Clock,
  type FdTable,
  type FutexWait,
  type HostPaths,
  type OpenFile,
  openTerminal,
  type PendingCall,
  type PendingStateV3,
  type ScriptConsole,
  SignalFile,
} from "../devices/mod.ts";
import {
  type Memory,
  OUTCOME,
  type Outcome,
  type Personality,
} from "../vmm/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import type { Devices } from "./devices.ts";
import { OutOfMemoryError } from "./area_memory.ts";
import { Exceptions } from "./exceptions.ts";
import { SIGNAL, type Signaled, signalName } from "./faults.ts";
import type { Process } from "./process.ts";
import { Futexes } from "./futexes.ts";
import { Registers } from "./registers.ts";
import { abortRestartable } from "./rseq.ts";
import { Scheduler } from "./scheduler.ts";
import { Signals } from "./signals/delivery.ts";
import { endsByStop } from "./signals/interruption.ts";
import { Timers } from "./signals/timers.ts";
import { syscallName } from "./syscall_numbers.ts";
import { SAVE_NUMBER, SYSCALLS } from "./syscalls/mod.ts";
import type { Task } from "./task.ts";
import type { Tracer } from "./trace.ts";
import { UserMemory } from "./user_memory.ts";
import { GuestClock, type NominalRate } from "./vdso/guest_clock.ts";
import { VvarPage } from "./vdso/vvar_page.ts";

/**
 * What a handler answers instead of a result when the call has to wait; it has
 * called {@linkcode Linux.waitFor} before. No result has this value: errno
 * values end at -4095.
 */
export const WAITING = -0x1_0000_0001;

/** What a handler answers when the program has ended, or asked for a save. */
export const LEFT = -0x1_0000_0002;

/** What a handler answers when the task has ended, and the program goes on. */
export const GONE = -0x1_0000_0003;

/** What a handler answers when another task is to have the vCPU: 0. */
export const YIELDED = -0x1_0000_0004;

/** What a handler answers when the registers are as they are to be. */
export const KEPT = -0x1_0000_0005;

/** A system call: its result, a negative errno, or one of those above. */
export type SyscallHandler = (linux: Linux, args: Registers) => number;

/** How a program ended. */
export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | ({ readonly kind: "signaled" } & Signaled);

/** How many different things are told: a program can make up any number. */
const MAX_WARNINGS = 100;

/** The parts of a VM that the personality works with. */
export interface LinuxParts {
  /** Guest memory. */
  readonly memory: Memory;
  /** The vCPU that the program's tasks share. */
  readonly vcpu: KvmVcpu;
  /** The program's address space. */
  readonly space: AddressSpace;
  /** What Linux keeps of the process. */
  readonly process: Process;
  /** Its descriptors. */
  readonly fds: FdTable;
  /** Its calls that wait. */
  readonly pending: PendingStateV3;
  /** Its clocks. */
  readonly clock: Clock;
  /** The host's files it may reach. */
  readonly paths: HostPaths;
  /** The devices that are plugins. */
  readonly devices: Devices;
  /** Finds out how fast its time-stamp counter runs. */
  readonly nominalTscRate: NominalRate;
  /** Its user and group. */
  readonly ids: { readonly uid: number; readonly gid: number };
  /** What CPUID tells it: a `struct kvm_cpuid2`. */
  readonly cpuid: () => Uint8Array;
}

/** What a user chooses about the personality. */
export interface LinuxOptions {
  /** Called with each system call that finished. */
  readonly tracer?: Tracer;
  /** A call that is not there ends the program, instead of giving ENOSYS. */
  readonly strict?: boolean;
  /** Called with what the user should know, a line without its end. */
  readonly warn?: (message: string) => void;
  /** Called when a signal has stopped the program, until SIGCONT comes. */
  readonly onStop?: (signal: number) => void;
  /** Answers SAVE(); absent: it fails with ENOSYS. */
  readonly onSave?: () => Promise<SaveAnswer>;
  /** Standard input, output and error; absent: those of this process. */
  readonly console?: ScriptConsole;
}

/**
 * What became of the program's request to be saved: the result that SAVE()
 * gives in the program that goes on, or "stop" when it goes on elsewhere.
 */
export type SaveAnswer = number | "stop";

/** The Linux personality of one VM. */
export class Linux implements Personality {
  readonly memory: Memory;
  readonly vcpu: KvmVcpu;
  readonly space: AddressSpace;
  readonly process: Process;
  readonly fds: FdTable;
  readonly clock: Clock;
  /** What tells the program the time within the VM. */
  readonly guestClock: GuestClock;
  readonly paths: HostPaths;
  readonly devices: Devices;
  readonly ids: { readonly uid: number; readonly gid: number };
  /** What CPUID tells the program: a `struct kvm_cpuid2`. */
  readonly cpuid: () => Uint8Array;
  /** The program's memory, by its own addresses. */
  readonly user: UserMemory;
  /** The registers of the task that is on the vCPU. */
  readonly registers: Registers;
  /** Which task has the vCPU. */
  readonly scheduler: Scheduler;
  /** Who waits at which futex. */
  readonly futexes: Futexes;
  /** Its signals. */
  readonly signals: Signals;
  /** What sends it signals at times. */
  readonly timers: Timers;
  /** How the program ended, when it has. */
  exitStatus: ExitStatus | undefined;
  /** Set once the program was saved and is to go on elsewhere. */
  savedAndStopped = false;

  readonly #options: LinuxOptions;
  readonly #warned = new Set<string>();
  readonly #exceptions: Exceptions;
  /** The waiting call, while it is tried again. */
  #resumed: PendingCall | null = null;

  /** @param parts what it works with @param options what the user chose */
  constructor(parts: LinuxParts, options: LinuxOptions = {}) {
    this.memory = parts.memory;
    this.vcpu = parts.vcpu;
    this.space = parts.space;
    this.process = parts.process;
    this.fds = parts.fds;
    this.clock = parts.clock;
    this.guestClock = new GuestClock(
      new VvarPage(parts.memory, parts.space),
      parts.clock,
      parts.nominalTscRate,
    );
    this.paths = parts.paths;
    this.devices = parts.devices;
    this.ids = parts.ids;
    this.cpuid = parts.cpuid;
    this.user = new UserMemory(parts.memory, parts.space);
    this.registers = new Registers(parts.vcpu.run);
    this.scheduler = new Scheduler(
      parts.vcpu,
      parts.process,
      parts.fds,
      parts.clock,
    );
    this.futexes = new Futexes(this.scheduler);
    this.signals = new Signals(this);
    this.#exceptions = new Exceptions(this);
    this.timers = new Timers(this);
    this.scheduler.timers = this.timers;
    for (const file of parts.fds.files()) {
      if (file instanceof SignalFile) file.attach(this.signals);
    }
    this.#options = options;
    this.#takeUp(parts.pending);
  }

  /** Takes up what the tasks of a saved program were about. */
  #takeUp({ calls }: PendingStateV3): void {
    const tasks = [...this.process.tasks.values()];
    const isStopped = this.process.state.stopSignal !== null;
    if (isStopped) this.scheduler.hold();
    for (const { task: place, call } of calls) {
      const task = tasks[place];
      task.call = structuredClone(call);
      this.scheduler.block(task);
      this.futexes.add(task);
    }
    for (const task of tasks) {
      // The current one is ready, too, where it does not just go on.
      const isOther = isStopped || task !== this.task;
      if (!task.call && isOther) this.scheduler.wake(task);
    }
  }

  /** The task that is on the vCPU. */
  get task(): Task {
    return this.process.current;
  }

  /** The calls that wait, as they travel. */
  pending(): PendingStateV3 {
    const tasks = [...this.process.tasks.values()];
    const calls: PendingStateV3["calls"] = [];
    for (const task of this.scheduler.blocked) {
      calls.push({ task: tasks.indexOf(task), call: task.call! });
    }
    return { calls };
  }

  /** Tells the user something, once, as long as it is not too much. */
  warnOnce(message: string): void {
    const { size } = this.#warned;
    if (size > MAX_WARNINGS || this.#warned.has(message)) return;
    const isLast = size === MAX_WARNINGS;
    this.#warned.add(message);
    this.#options.warn?.(
      isLast ? "there is more that is not supported: it is not told" : message,
    );
  }

  /** Ends the program as a signal does that nobody handles. */
  kill(signaled: Signaled): number {
    this.exitStatus = { kind: "signaled", ...signaled };
    return LEFT;
  }

  /** Stops the program, as a signal does that nobody handles, until SIGCONT. */
  stop(signal: number): void {
    if (this.process.state.stopSignal !== null) return;
    this.process.state.stopSignal = signal;
    this.scheduler.hold();
    for (const task of [...this.scheduler.blocked]) {
      // The current task's call ends, or not, as it has the signal.
      if (task === this.task || !endsByStop(task.call!)) continue;
      task.registers!.result = -ERRNO.EINTR;
      this.signals.restoreMask(task);
      this.scheduler.unblock(task);
      this.scheduler.wake(task);
    }
    if (this.#options.onStop) this.#options.onStop(signal);
    else {
      const name = signalName(signal);
      this.warnOnce(`the program was stopped by ${name}: SIGCONT continues it`);
    }
  }

  /** Lets a program go on that was stopped. */
  continue(): void {
    if (this.process.state.stopSignal === null) return;
    this.process.state.stopSignal = null;
    this.scheduler.release();
    // There may be other signals for those who wait.
    this.scheduler.retryAll();
  }

  /** Ends the program with `code`. */
  exit(code: number): number {
    this.exitStatus = { kind: "exited", code: code & 0xff };
    return LEFT;
  }

  // --- system calls ---

  /** Answers the `syscall` that the vCPU has just made. */
  onSyscall(): Outcome {
    const { registers } = this;
    this.#exceptions.madeCall();
    if (!registers.leaveSyscall()) {
      return this.#exceptions.fault({
        signal: SIGNAL.SIGSEGV,
        what: "return to a non-canonical address",
        address: 0n,
        rip: registers.rip,
      });
    }
    return this.#orNext(this.#dispatch(registers.callNumber));
  }

  /** What to do, where the current task cannot go on. */
  #orNext(outcome: Outcome): Outcome {
    return outcome === OUTCOME.wait ? this.#next() : outcome;
  }

  /** Gives the vCPU to the next task that can go on: `wait` where none can. */
  #next(): Outcome {
    for (;;) {
      const task = this.scheduler.next();
      if (!task) {
        // Some task's registers are in the vCPU, whatever happens.
        if (this.task.hasEnded) this.scheduler.switchToAny();
        return OUTCOME.wait;
      }
      const outcome = task.call
        ? this.#retry(task.call)
        : this.#deliverDue(task);
      if (outcome !== OUTCOME.wait) return outcome;
    }
  }

  /** Tries the current task's call again: its registers are as they were. */
  #retry(call: PendingCall): Outcome {
    this.#resumed = call;
    this.fds.showTo(this.task.tid);
    try {
      return this.#dispatch(call.number);
    } finally {
      this.fds.showTo();
      this.#resumed = null;
    }
  }

  /** Has the current task take its signals, if there are any, and go on. */
  #deliverDue(task: Task): Outcome {
    const outcome = this.signals.isDue(task)
      ? this.signals.deliver()
      : OUTCOME.run;
    if (outcome !== OUTCOME.run || !this.scheduler.isHeld) return outcome;
    this.scheduler.wake(task);
    return OUTCOME.wait;
  }

  /** A call that would wait, and is to end for a signal; its result. */
  #interrupt(task: Task): number {
    const call = task.call!;
    const result = this.signals.interrupt(task, call);
    if (result === undefined) return WAITING;
    this.futexes.remove(call);
    return result;
  }

  #dispatch(number: number): Outcome {
    const { registers } = this;
    if (number === SAVE_NUMBER) return this.#beginSave();
    const handler = SYSCALLS[number];
    const { task, scheduler } = this;
    let result: number;
    let isInterrupted = false;
    try {
      result = handler === undefined
        ? this.#unknownCall(number)
        : handler(this, registers);
      isInterrupted = result === WAITING;
      if (isInterrupted) result = this.#interrupt(task);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      result = this.outOfMemory(error);
    }
    if (result === WAITING) {
      scheduler.block(task);
      return OUTCOME.wait;
    }
    if (this.#resumed) this.guestClock.waited();
    if (task.call) scheduler.unblock(task);
    const isYield = result === YIELDED;
    if (isYield) result = 0;
    const hasLeft = result === LEFT || result === GONE || result === KEPT;
    const shown = hasLeft ? undefined : result;
    this.#options.tracer?.syscall(number, registers, shown, this);
    if (result === LEFT) return OUTCOME.stop;
    if (result === GONE) return OUTCOME.wait;
    if (result !== KEPT) registers.setResult(result);
    if (!isInterrupted) this.signals.restoreMask(task);
    if (!isYield) return this.#deliverDue(task);
    scheduler.wake(task);
    return OUTCOME.wait;
  }

  #unknownCall(number: number): number {
    const name = syscallName(number);
    if (this.#options.strict) {
      this.warnOnce(`system call ${name} is not supported: ended (--strict)`);
      return this.kill({
        signal: SIGNAL.SIGSYS,
        what: `system call ${name} is not supported`,
        rip: this.registers.rip,
      });
    }
    this.warnOnce(`system call ${name} is not supported: answered with ENOSYS`);
    return -ERRNO.ENOSYS;
  }

  /** Opens the program's terminal once more, or gives -ENXIO. */
  openTerminal(flags: number): OpenFile | number {
    return openTerminal(this.#options.console, flags);
  }

  /** Whether the program has a terminal. */
  get hasTerminal(): boolean {
    return typeof this.openTerminal(0) !== "number";
  }

  /** Says that part of a call is not there; what the call then answers. */
  unsupported(what: string, result: number): number {
    if (this.#options.strict) {
      this.warnOnce(`${what} is not supported: ended (--strict)`);
      return this.kill({
        signal: SIGNAL.SIGSYS,
        what: `${what} is not supported`,
        rip: this.registers.rip,
      });
    }
    this.warnOnce(`${what} is not supported`);
    return result;
  }

  /** Ends the program, for which no memory is left. */
  outOfMemory(error: OutOfMemoryError): number {
    this.#options.warn?.(`${error.message} (${error.hint})`);
    return this.kill({
      signal: SIGNAL.SIGKILL,
      what: "out of memory",
      rip: this.registers.rip,
    });
  }

  /** Nanoseconds that the program has had a CPU, about. */
  cpuNs(): number {
    return this.clock.monotonicNs() - this.process.state.waitedNs;
  }

  // --- waiting ---

  /** What the call that is tried again has done so far; null the first time. */
  get resumed(): PendingCall | null {
    return this.#resumed;
  }

  /**
   * Makes the call that is being handled wait.
   *
   * @param what for which descriptors and events, until when, what is done
   * @returns {@linkcode WAITING}
   */
  waitFor(what: {
    waitsFor?: { descriptor: number; events: number }[];
    deadlineNs?: number | null;
    doneBytes?: number;
    cpuNs?: number;
    futex?: FutexWait;
    futexes?: FutexWait[];
  }): number {
    const { registers } = this;
    const number = registers.callNumber;
    this.task.call = {
      operation: syscallName(number),
      number,
      arguments: [0, 1, 2, 3, 4, 5].map((i) => registers.big(i)),
      doneBytes: what.doneBytes ?? 0,
      deadlineNs: what.deadlineNs ?? null,
      cpuNs: what.cpuNs,
      waitsFor: what.waitsFor ?? [],
      futex: what.futex,
      futexes: what.futexes,
    };
    return WAITING;
  }

  /** What to do first: to try again what waited when the VM was paused. */
  begin(): Outcome {
    this.scheduler.retryAll();
    const { task } = this;
    if (task.call || task.hasEnded || task.isReady) return this.#next();
    const canDeliver = this.signals.isDue(task) && this.scheduler.canSwitch;
    return canDeliver ? this.signals.deliver() : OUTCOME.run;
  }

  /** Gives the vCPU to a task, once one can go on or `signal` aborts. */
  async next(signal: AbortSignal): Promise<Outcome> {
    for (;;) {
      const outcome = this.#next();
      if (outcome !== OUTCOME.wait || signal.aborted) return outcome;
      await this.scheduler.idle(signal);
    }
  }

  /** Whether another task can go on, or the one on the vCPU has a signal. */
  get hasReady(): boolean {
    return this.scheduler.hasReady || this.signals.isDue(this.task);
  }

  /** Calls `onReady` when one can, until what is returned is called. */
  watch(onReady: () => void): () => void {
    return this.scheduler.watch(onReady);
  }

  /** The task on the vCPU has had its turn: others that can go on have theirs. */
  turn(): Outcome {
    const { scheduler } = this;
    scheduler.expire();
    const { task } = this;
    if (!this.hasReady || !scheduler.canSwitch) return OUTCOME.run;
    if (!scheduler.hasReady) return this.signals.deliver();
    if (!abortRestartable(task, this.registers, this.user)) {
      this.kill({
        signal: SIGNAL.SIGSEGV,
        what: "a restartable sequence that is none",
        rip: this.registers.rip,
      });
      return OUTCOME.stop;
    }
    scheduler.wake(task);
    return this.#next();
  }

  /** Ends what is waited for in the host: the VM is to be paused. */
  async rest(): Promise<void> {
    await this.scheduler.stopWaits();
  }

  /** Ends the current task; the others go on, if there are any. */
  exitTask(code: number): number {
    const { task, process, scheduler } = this;
    if (process.tasks.size === 1) return this.exit(code);
    scheduler.remove(task);
    this.signals.retarget();
    return GONE;
  }

  // --- saving ---

  #beginSave(): Outcome {
    if (!this.#options.onSave) {
      this.registers.setResult(-ERRNO.ENOSYS);
      return OUTCOME.run;
    }
    // What the image holds is the program that has been thawed.
    this.registers.setResult(1);
    return OUTCOME.save;
  }

  /** Saves the program as it asked to be. */
  async save(): Promise<Outcome> {
    let answer: SaveAnswer;
    await this.scheduler.stopWaits();
    try {
      answer = await this.#options.onSave!();
    } catch (error) {
      // What the program is told, should it go on all the same.
      this.registers.setResult(-ERRNO.EIO);
      throw error;
    }
    this.scheduler.retryAll();
    if (answer === "stop") {
      this.savedAndStopped = true;
      return OUTCOME.stop;
    }
    this.registers.setResult(answer);
    return this.#deliverDue(this.task);
  }

  // --- exceptions ---

  /** Answers an exception: a page to be populated, or the program's end. */
  onException(vector: number): Outcome {
    return this.#exceptions.onException(vector);
  }

  /** A shared file is shorter than what was mapped of it: SIGBUS. */
  onMissingPage(): Outcome | undefined {
    return this.#exceptions.onMissingPage();
  }

  /** `in` or `out` on a port that nothing claims: as natively, not allowed. */
  onUnclaimedPort(_port: number): Outcome {
    return this.#exceptions.onUnclaimedPort();
  }

  /** Ends the program from outside, as `kill -9` would. */
  terminate(): void {
    this.exitStatus ??= {
      kind: "signaled",
      signal: SIGNAL.SIGKILL,
      what: "killed",
      rip: this.registers.rip,
    };
  }
}
