/**
 * What stands where a kernel would: all that is kept of a program, and what
 * becomes of it. What its exits lead to is `dispatcher.ts`.
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
import type { Memory } from "../vmm/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import type { OutOfMemoryError } from "./area_memory.ts";
import { GONE, LEFT, WAITING } from "./call_results.ts";
import type { Devices } from "./devices.ts";
import { SIGNAL, type Signaled, signalName } from "./faults.ts";
import type { Process } from "./process.ts";
import { Futexes } from "./futexes.ts";
import { Registers } from "./registers.ts";
import { Scheduler } from "./scheduler.ts";
import { Signals } from "./signals/delivery.ts";
import { endsByStop } from "./signals/interruption.ts";
import { Timers } from "./signals/timers.ts";
import { syscallName } from "./syscall_numbers.ts";
import type { LackingCall } from "./syscalls/mod.ts";
import type { Task } from "./task.ts";
import { UserMemory } from "./user_memory.ts";
import { GuestClock, type NominalRate } from "./vdso/guest_clock.ts";
import { VvarPage } from "./vdso/vvar_page.ts";

/** How a program ended. */
export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | ({ readonly kind: "signaled" } & Signaled);

/** How many different things are told: a program can make up any number. */
const MAX_WARNINGS = 100;

/** The parts of a VM that it works with. */
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

/** What a user chooses about it. */
export interface LinuxOptions {
  /** A call that is not there ends the program, instead of giving ENOSYS. */
  readonly strict?: boolean;
  /** Called with what the user should know, a line without its end. */
  readonly warn?: (message: string) => void;
  /** Called when a signal has stopped the program, until SIGCONT comes. */
  readonly onStop?: (signal: number) => void;
  /** Standard input, output and error; absent: those of this process. */
  readonly console?: ScriptConsole;
}

/** What stands where a kernel would, for the program of one VM. */
export class Linux {
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
  /** What the call that is tried again has done so far; null the first time. */
  resumed: PendingCall | null = null;

  readonly #options: LinuxOptions;
  readonly #warned = new Set<string>();

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
    this.process.folder.attach(parts.paths);
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

  /** Whether another task can go on, or the one on the vCPU has a signal. */
  get hasReady(): boolean {
    return this.scheduler.hasReady || this.signals.isDue(this.task);
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

  /** Nanoseconds that the program has had a CPU, about. */
  cpuNs(): number {
    return this.clock.monotonicNs() - this.process.state.waitedNs;
  }

  /** Opens the program's terminal once more, or gives -ENXIO. */
  openTerminal(flags: number): OpenFile | number {
    return openTerminal(this.#options.console, flags);
  }

  /** Whether the program has a terminal. */
  get hasTerminal(): boolean {
    return typeof this.openTerminal(0) !== "number";
  }

  /** Closes what the program has open. */
  closeFiles(): void {
    this.fds.closeAll();
    this.process.folder.close();
  }

  // --- how it ends and stops ---

  /** Ends the program as a signal does that nobody handles. */
  kill(signaled: Signaled): number {
    this.exitStatus = { kind: "signaled", ...signaled };
    return LEFT;
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

  /** Ends the program from outside, as `kill -9` would. */
  terminate(): void {
    this.exitStatus ??= {
      kind: "signaled",
      signal: SIGNAL.SIGKILL,
      what: "killed",
      rip: this.registers.rip,
    };
  }

  /** Ends the current task; the others go on, if there are any. */
  exitTask(code: number): number {
    const { task, process, scheduler } = this;
    if (process.tasks.size === 1) return this.exit(code);
    scheduler.remove(task);
    this.signals.retarget();
    return GONE;
  }

  // --- what is not there ---

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

  /** Says that a call is not there; what it then answers. */
  unknownCall(number: number): number {
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

  /**
   * Says that part of a call is not there.
   *
   * @param call which; one that several calls share is named by the first: only
   * what docs/linux.md says to lack something can be
   * @returns what the call then answers: `result`, unless it ends the program
   */
  unsupported(call: LackingCall, what: string, result: number): number {
    const said = `${call}: ${what} is not supported`;
    if (this.#options.strict) {
      this.warnOnce(`${said}: ended (--strict)`);
      return this.kill({
        signal: SIGNAL.SIGSYS,
        what: said,
        rip: this.registers.rip,
      });
    }
    this.warnOnce(said);
    return result;
  }

  // --- waiting ---

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
}
