/**
 * Sending signals to the program, and having it take them.
 *
 * @module
 */

import {
  type PendingCall,
  type SignalSource,
  Waiters,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { OUTCOME, type Outcome } from "../../vmm/mod.ts";
import { OutOfMemoryError } from "../area_memory.ts";
import { SIGNAL, type Signaled, signalName } from "../faults.ts";
import { KEPT } from "../call_results.ts";
import type { Linux } from "../linux.ts";
import { abortRestartable } from "../rseq.ts";
import { SYS } from "../syscall_numbers.ts";
import type { Task } from "../task.ts";
import { ExtendedState } from "./extended_state.ts";
import { enterHandler, leaveHandler, type Trap } from "./frame.ts";
import {
  CODE,
  forFault,
  fromKernel,
  INFO,
  type PendingSignal,
  viewOfInfo,
} from "./info.ts";
import {
  alwaysRestarts,
  endsByStop,
  giveTimeLeft,
  restarts,
} from "./interruption.ts";
import { discard, enqueue, nextOf, pendingSet } from "./queue.ts";
import { recordOf } from "./record.ts";
import {
  bitOf,
  IGNORED_BY_DEFAULT,
  SA,
  SIG_DFL,
  SIG_IGN,
  STOPPING,
  UNBLOCKABLE,
} from "./sets.ts";

/** What a signal does. */
type Effect = "nothing" | "stops" | "ends" | "handled";

/** What a program is told of a fault that ends it, or that it handles. */
export interface Fault {
  /** What is reported where nobody handles it. */
  readonly signaled: Signaled;
  /** si_code. */
  readonly code: number;
  /** The exception, if it was one. */
  readonly trap?: Trap;
}

/** The signals of one program. */
export class Signals implements SignalSource {
  /** Called when a signal of a timer is taken: it says how many there were. */
  onTimer: (signal: PendingSignal) => void = () => {};
  /** Who waits for signals to wait. */
  readonly waiters = new Waiters();

  readonly #linux: Linux;
  readonly #extended: ExtendedState;

  /** @param linux whose signals they are */
  constructor(linux: Linux) {
    this.#linux = linux;
    this.#extended = new ExtendedState(linux.vcpu, linux.user);
  }

  // --- sending ---

  /**
   * Sends a signal to a task, or to the process: then the first task that does
   * not block it takes it.
   *
   * @returns 0, or -EAGAIN where too many wait
   */
  send(sent: PendingSignal, to?: Task): number {
    const { process, scheduler } = this.#linux;
    const { signal } = sent;
    this.#cancelOpposite(signal);
    const goesOn = signal === SIGNAL.SIGCONT || signal === SIGNAL.SIGKILL;
    if (goesOn) this.#linux.continue();
    const target = to ?? this.#taker(signal);
    const awaiting = [...scheduler.blocked].filter((task) =>
      task.call!.number === SYS.rt_sigtimedwait && (!to || task === to)
    );
    // One that is blocked, or waited for, waits even if it would do nothing:
    // that can change.
    const isOpen = target && !(target.state.signalMask & bitOf(signal));
    const isKept = !isOpen || awaiting.length > 0;
    if (!isKept && this.effect(signal) === "nothing") return 0;
    const queue = to ? to.state.signals : process.state.signals;
    if (!enqueue(queue, sent, this.#queues())) return -ERRNO.EAGAIN;
    for (const task of awaiting) scheduler.wake(task);
    if (isOpen) scheduler.interrupt(target);
    this.waiters.wake();
    return 0;
  }

  /** Every queue of the process. */
  *#queues(): Generator<PendingSignal[]> {
    const { process } = this.#linux;
    yield process.state.signals;
    for (const { state } of process.tasks.values()) yield state.signals;
  }

  /** SIGCONT takes back what stops the process, and that takes back SIGCONT. */
  #cancelOpposite(signal: number): void {
    const bit = bitOf(signal);
    const dropped = signal === SIGNAL.SIGCONT
      ? STOPPING
      : bit & STOPPING
      ? bitOf(SIGNAL.SIGCONT)
      : 0n;
    if (dropped !== 0n) this.discard(dropped);
  }

  /** Drops the signals of `set`, wherever they wait. */
  discard(set: bigint): void {
    for (const queue of this.#queues()) discard(queue, set);
  }

  /** The task that takes a signal to the process: the first one, if it may. */
  #taker(signal: number): Task | undefined {
    for (const task of this.#linux.process.tasks.values()) {
      if (!(task.state.signalMask & bitOf(signal))) return task;
    }
    return undefined;
  }

  /** Tells those who are to take signals to the process: a task has ended. */
  retarget(): void {
    const { process, scheduler } = this.#linux;
    for (const { signal } of process.state.signals) {
      const taker = this.#taker(signal);
      if (taker) scheduler.interrupt(taker);
    }
  }

  // --- what a signal does ---

  /** What a signal does, delivered to whichever task. */
  effect(signal: number): Effect {
    const handler = this.#linux.process.signalActions.get(signal)?.handler ??
      SIG_DFL;
    if (handler === SIG_IGN) return "nothing";
    if (handler !== SIG_DFL) return "handled";
    const bit = bitOf(signal);
    if (bit & IGNORED_BY_DEFAULT) return "nothing";
    return bit & STOPPING ? "stops" : "ends";
  }

  /** Whether a signal to the process would end it. */
  endsBy(signal: number): boolean {
    return this.effect(signal) === "ends" && this.#taker(signal) !== undefined;
  }

  /** Signals to the process that `task` is to take. */
  #shared(task: Task): bigint {
    const { process } = this.#linux;
    const { signals } = process.state;
    if (signals.length === 0) return 0n;
    let set = 0n;
    for (const { signal } of signals) {
      if (this.#taker(signal) === task) set |= bitOf(signal);
    }
    return set;
  }

  /** Whether a task has a signal to take before it goes on. */
  isDue(task: Task): boolean {
    const { state } = task;
    const { signals } = this.#linux.process.state;
    if (state.signals.length === 0 && signals.length === 0) return false;
    return (pendingSet(state.signals) & ~state.signalMask) !== 0n ||
      this.#shared(task) !== 0n;
  }

  /** Which signals wait for a task: its own, and those of the process. */
  pending(task: Task): bigint {
    return pendingSet(task.state.signals) |
      pendingSet(this.#linux.process.state.signals);
  }

  /** Takes the next signal of `set` that waits for a task, blocked or not. */
  take(task: Task, set: bigint): PendingSignal | undefined {
    const { signals } = this.#linux.process.state;
    return this.#takeFrom(task.state.signals, set) ??
      this.#takeFrom(signals, set);
  }

  waiting(): bigint {
    return this.pending(this.#linux.task);
  }

  takeRecord(set: bigint): Uint8Array | undefined {
    const taken = this.take(this.#linux.task, set);
    return taken && recordOf(taken);
  }

  #takeFrom(
    queue: PendingSignal[],
    set: bigint,
  ): PendingSignal | undefined {
    const at = nextOf(queue, set);
    if (at < 0) return undefined;
    const [taken] = queue.splice(at, 1);
    if (viewOfInfo(taken).getInt32(INFO.code, true) === CODE.timer) {
      this.onTimer(taken);
    }
    return taken;
  }

  /** The next signal that a task is to take. */
  #takeDue(task: Task): PendingSignal | undefined {
    const { state } = task;
    return this.#takeFrom(state.signals, ~state.signalMask) ??
      this.#takeFrom(this.#linux.process.state.signals, this.#shared(task));
  }

  // --- delivery ---

  /**
   * Has the task on the vCPU take the signals that it is to take, before it
   * goes on.
   */
  deliver(): Outcome {
    const { task } = this.#linux;
    for (;;) {
      const next = this.#takeDue(task);
      if (!next) break;
      const outcome = this.#deliverOne(next);
      if (outcome !== OUTCOME.run) return outcome;
    }
    this.restoreMask(task);
    return OUTCOME.run;
  }

  #deliverOne(next: PendingSignal, trap?: Trap): Outcome {
    const linux = this.#linux;
    const { signal } = next;
    const { task, process, registers, user } = linux;
    const effect = this.effect(signal);
    if (effect === "nothing") return OUTCOME.run;
    if (effect === "stops") {
      linux.stop(signal);
      linux.scheduler.wake(task);
      return OUTCOME.wait;
    }
    if (effect === "ends") {
      linux.kill({ signal, what: this.#reason(next), rip: registers.rip });
      return OUTCOME.stop;
    }
    const action = process.signalActions.get(signal)!;
    if (action.flags & SA.resetHandler) {
      process.signalActions.set(signal, { ...action, handler: SIG_DFL });
    }
    const parts = { task, registers, user, extended: this.#extended };
    try {
      const isEntered = abortRestartable(task, registers, user) &&
        enterHandler(parts, action, next, trap);
      if (!isEntered) return this.#noFrame(signal);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      linux.outOfMemory(error);
      return OUTCOME.stop;
    }
    const { state } = task;
    state.savedMask = null;
    const own = action.flags & SA.noDefer ? 0n : bitOf(signal);
    state.signalMask = (state.signalMask | action.mask | own) & ~UNBLOCKABLE;
    return OUTCOME.run;
  }

  /** There is no room for a handler's frame: as a fault at its stack. */
  #noFrame(signal: number): Outcome {
    const { registers, process } = this.#linux;
    const signaled = {
      signal: SIGNAL.SIGSEGV,
      what: `no stack to handle ${signalName(signal)} on`,
      address: 0n,
      rip: registers.rip,
    };
    // The handler of this very signal cannot be called for it.
    if (signal === SIGNAL.SIGSEGV) process.signalActions.delete(signal);
    return this.force({ signaled, code: CODE.kernel });
  }

  /** Why the program is ended, for the user. */
  #reason(ending: PendingSignal): string {
    if (ending.signal === SIGNAL.SIGPIPE) return "broken pipe";
    if (ending.signal === SIGNAL.SIGXFSZ) return "a file would be too long";
    const view = viewOfInfo(ending);
    const code = view.getInt32(INFO.code, true);
    if (code === CODE.timer) return "a timer expired";
    if (code === CODE.kernel) return "raised by the kernel";
    return view.getInt32(INFO.pid, true) === 0
      ? "sent from outside"
      : "raised by the program";
  }

  /**
   * Has the task on the vCPU take a signal that it cannot go on without: where
   * it does not handle it, or blocks it, the program ends.
   */
  force({ signaled, code, trap }: Fault): Outcome {
    const linux = this.#linux;
    const { task } = linux;
    const { signal } = signaled;
    const isBlocked = task.state.signalMask & bitOf(signal);
    if (isBlocked || this.effect(signal) !== "handled") {
      linux.kill(signaled);
      return OUTCOME.stop;
    }
    const forced = code === CODE.kernel
      ? fromKernel(signal)
      : forFault(signaled, code);
    const outcome = this.#deliverOne(forced, trap);
    if (outcome !== OUTCOME.run) return outcome;
    return this.isDue(task) ? this.deliver() : OUTCOME.run;
  }

  /** Goes back from a handler; whether the program can go on there. */
  returnFromHandler(): boolean {
    const { task, registers, user } = this.#linux;
    const extended = this.#extended;
    return leaveHandler({ task, registers, user, extended });
  }

  // --- calls that wait ---

  /**
   * Has a call block other signals while it waits: those that were blocked are
   * again when it ends. It is left alone when the call is tried again.
   */
  setTemporaryMask(mask: bigint): void {
    const { task, resumed } = this.#linux;
    if (resumed) return;
    const { state } = task;
    state.savedMask ??= state.signalMask;
    state.signalMask = mask & ~UNBLOCKABLE;
  }

  /** Blocks again what was blocked before the task's call. */
  restoreMask({ state }: Task): void {
    if (state.savedMask === null) return;
    state.signalMask = state.savedMask;
    state.savedMask = null;
  }

  /**
   * What a call that would wait answers, as a signal is to be taken; undefined
   * when there is none, or the call cannot be interrupted.
   */
  interrupt(task: Task, call: PendingCall): number | undefined {
    // One that moves much goes on at once: it does not wait.
    if (call.deadlineNs === 0 || !this.isDue(task)) return undefined;
    const signal = this.#firstThatActs(task);
    if (signal === undefined) return undefined;
    if (this.effect(signal) === "stops") {
      this.take(task, bitOf(signal));
      this.#linux.stop(signal);
      return endsByStop(call) ? -ERRNO.EINTR : undefined;
    }
    if (call.doneBytes > 0) return call.doneBytes;
    giveTimeLeft(this.#linux, call);
    const flags = this.#linux.process.signalActions.get(signal)?.flags ?? 0n;
    const isAnew = flags & SA.restart ? restarts(call) : false;
    if (!isAnew && !alwaysRestarts(call)) return -ERRNO.EINTR;
    this.#linux.registers.restartSyscall();
    return KEPT;
  }

  /**
   * Whether a signal ends the current task's call, which has done a part and
   * would wait for the rest. One that has to say more than how much it did asks
   * this first.
   */
  endsPart(): boolean {
    const { task } = this.#linux;
    if (!this.isDue(task)) return false;
    const signal = this.#firstThatActs(task);
    return signal !== undefined && this.effect(signal) !== "stops";
  }

  /** The next signal that a task is to take; those that do nothing are dropped. */
  #firstThatActs(task: Task): number | undefined {
    const { state } = task;
    const shared = this.#linux.process.state.signals;
    for (;;) {
      const own = nextOf(state.signals, ~state.signalMask);
      const queue = own >= 0 ? state.signals : shared;
      const at = own >= 0 ? own : nextOf(shared, this.#shared(task));
      if (at < 0) return undefined;
      const { signal } = queue[at];
      const effect = this.effect(signal);
      if (effect !== "nothing") return signal;
      queue.splice(at, 1);
    }
  }
}
