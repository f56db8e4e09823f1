/**
 * What a program's exits lead to: its system calls are answered, its exceptions,
 * its wish to be saved; and which task has the vCPU then.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import type { PendingCall } from "../devices/mod.ts";
import { OUTCOME, type Outcome, type Personality } from "../vmm/mod.ts";
import { OutOfMemoryError } from "./area_memory.ts";
import { GONE, KEPT, LEFT, WAITING, YIELDED } from "./call_results.ts";
import { Exceptions } from "./exceptions.ts";
import { SIGNAL } from "./faults.ts";
import type { Linux } from "./linux.ts";
import type { Registers } from "./registers.ts";
import { abortRestartable } from "./rseq.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Signals } from "./signals/delivery.ts";
import { SAVE_NUMBER, SYSCALLS } from "./syscalls/mod.ts";
import type { Task } from "./task.ts";
import type { Tracer } from "./trace.ts";

/** What a user chooses about what leaves the VM. */
export interface DispatcherOptions {
  /** Called with each system call that finished. */
  readonly tracer?: Tracer;
  /** Answers SAVE(); absent: it fails with ENOSYS. */
  readonly onSave?: () => Promise<SaveAnswer>;
}

/**
 * What became of the program's request to be saved: the result that SAVE()
 * gives in the program that goes on, or "stop" when it goes on elsewhere.
 */
export type SaveAnswer = number | "stop";

/** The Linux personality: answers the exits of one VM's program. */
export class Dispatcher implements Personality {
  readonly #linux: Linux;
  readonly #registers: Registers;
  readonly #scheduler: Scheduler;
  readonly #signals: Signals;
  readonly #exceptions: Exceptions;
  readonly #tracer: Tracer | undefined;
  readonly #onSave: DispatcherOptions["onSave"];

  /** @param linux whose program it is @param options what the user chose */
  constructor(linux: Linux, options: DispatcherOptions = {}) {
    this.#linux = linux;
    this.#registers = linux.registers;
    this.#scheduler = linux.scheduler;
    this.#signals = linux.signals;
    this.#exceptions = new Exceptions(linux, () => this.onSyscall());
    this.#tracer = options.tracer;
    this.#onSave = options.onSave;
  }

  // --- system calls ---

  /** Answers the `syscall` that the vCPU has just made. */
  onSyscall(): Outcome {
    const registers = this.#registers;
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
      const task = this.#scheduler.next();
      if (!task) {
        // Some task's registers are in the vCPU, whatever happens.
        if (this.#linux.task.hasEnded) this.#scheduler.switchToAny();
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
    const linux = this.#linux;
    linux.resumed = call;
    linux.fds.showTo(linux.task.tid);
    try {
      return this.#dispatch(call.number);
    } finally {
      linux.fds.showTo();
      linux.resumed = null;
    }
  }

  /** Has the current task take its signals, if there are any, and go on. */
  #deliverDue(task: Task): Outcome {
    const outcome = this.#signals.isDue(task)
      ? this.#signals.deliver()
      : OUTCOME.run;
    if (outcome !== OUTCOME.run || !this.#scheduler.isHeld) return outcome;
    this.#scheduler.wake(task);
    return OUTCOME.wait;
  }

  /** A call that would wait, and is to end for a signal; its result. */
  #interrupt(task: Task): number {
    const call = task.call!;
    const result = this.#signals.interrupt(task, call);
    if (result === undefined) return WAITING;
    this.#linux.futexes.remove(call);
    this.#linux.fds.giveUp(task.tid);
    return result;
  }

  #dispatch(number: number): Outcome {
    const linux = this.#linux;
    const registers = this.#registers;
    if (number === SAVE_NUMBER) return this.#beginSave();
    const handler = SYSCALLS[number];
    const { task } = linux;
    const scheduler = this.#scheduler;
    let result: number | bigint;
    let isInterrupted = false;
    try {
      result = handler === undefined
        ? linux.unknownCall(number)
        : handler(linux, registers);
      isInterrupted = result === WAITING;
      if (isInterrupted) result = this.#interrupt(task);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      result = linux.outOfMemory(error);
    }
    if (result === WAITING) {
      scheduler.block(task);
      return OUTCOME.wait;
    }
    if (linux.resumed) linux.guestClock.waited();
    if (task.call) scheduler.unblock(task);
    const isYield = result === YIELDED;
    if (isYield) result = 0;
    const hasLeft = result === LEFT || result === GONE || result === KEPT;
    const shown = hasLeft ? undefined : Number(result);
    this.#tracer?.syscall(number, registers, shown, linux);
    if (result === LEFT) return OUTCOME.stop;
    if (result === GONE) return OUTCOME.wait;
    if (result !== KEPT) registers.setResult(result);
    if (!isInterrupted) this.#signals.restoreMask(task);
    if (!isYield) return this.#deliverDue(task);
    scheduler.wake(task);
    return OUTCOME.wait;
  }

  // --- turns ---

  /** What to do first: to try again what waited when the VM was paused. */
  begin(): Outcome {
    this.#scheduler.retryAll();
    const { task } = this.#linux;
    if (task.call || task.hasEnded || task.isReady) return this.#next();
    const canDeliver = this.#signals.isDue(task) && this.#scheduler.canSwitch;
    return canDeliver ? this.#signals.deliver() : OUTCOME.run;
  }

  /** Gives the vCPU to a task, once one can go on or `signal` aborts. */
  async next(signal: AbortSignal): Promise<Outcome> {
    for (;;) {
      const outcome = this.#next();
      if (outcome !== OUTCOME.wait || signal.aborted) return outcome;
      await this.#scheduler.idle(signal);
    }
  }

  /** Whether another task can go on, or the one on the vCPU has a signal. */
  get hasReady(): boolean {
    return this.#linux.hasReady;
  }

  /** Calls `onReady` when one can, until what is returned is called. */
  watch(onReady: () => void): () => void {
    return this.#scheduler.watch(onReady);
  }

  /** The task on the vCPU has had its turn: others that can go on have theirs. */
  turn(): Outcome {
    const scheduler = this.#scheduler;
    scheduler.expire();
    const { task, user } = this.#linux;
    if (!this.hasReady || !scheduler.canSwitch) return OUTCOME.run;
    if (!scheduler.hasReady) return this.#signals.deliver();
    if (!abortRestartable(task, this.#registers, user)) {
      this.#linux.kill({
        signal: SIGNAL.SIGSEGV,
        what: "a restartable sequence that is none",
        rip: this.#registers.rip,
      });
      return OUTCOME.stop;
    }
    scheduler.wake(task);
    return this.#next();
  }

  /** Ends what is waited for in the host: the VM is to be paused. */
  async rest(): Promise<void> {
    await this.#scheduler.stopWaits();
  }

  // --- saving ---

  #beginSave(): Outcome {
    if (!this.#onSave) {
      this.#registers.setResult(-ERRNO.ENOSYS);
      return OUTCOME.run;
    }
    // What the image holds is the program that has been thawed.
    this.#registers.setResult(1);
    return OUTCOME.save;
  }

  /** Saves the program as it asked to be. */
  async save(): Promise<Outcome> {
    let answer: SaveAnswer;
    await this.#scheduler.stopWaits();
    try {
      answer = await this.#onSave!();
    } catch (error) {
      // What the program is told, should it go on all the same.
      this.#registers.setResult(-ERRNO.EIO);
      throw error;
    }
    this.#scheduler.retryAll();
    if (answer === "stop") {
      this.#linux.savedAndStopped = true;
      return OUTCOME.stop;
    }
    this.#registers.setResult(answer);
    return this.#deliverDue(this.#linux.task);
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
  onUnclaimedPort(isOver: boolean): Outcome {
    return this.#exceptions.onUnclaimedPort(isOver);
  }
}
