/**
 * Whether a VM runs, is held still, or has ended.
 *
 * @module
 */

import { type ScriptConsole, terminalOf } from "../devices/mod.ts";
import type { ImageFile } from "../state/mod.ts";
import { type Machine, VmError, type VmState } from "../vmm/mod.ts";
import { QUIESCE_TIMEOUT_MS, tooLate } from "./devices.ts";
import type { SaveAnswer } from "./dispatcher.ts";
import type { Linux } from "./linux.ts";
import { settlesWithin } from "./time_limit.ts";
import type { HoldOptions, VmEnd } from "./vm_options.ts";

/** The running of a VM: what was asked for, and what stands against it. */
export class Execution implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #linux: Linux;
  readonly #console: ScriptConsole | undefined;
  /** The image that memory is mapped from, while it is checked. */
  #checking: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #ended = Promise.withResolvers<VmEnd>();
  /**
   * Why it must not go on: damage that the check of the image found, or what
   * failed after it had moved.
   */
  #failure: unknown;
  /** The last who held it still; one waits for the other. */
  #holding: Promise<unknown> = Promise.resolve();
  /** Whether it is held still: nothing runs then. */
  #isHeld = false;
  /** Whether it is to run once nobody holds it any more. */
  #wantsRunning = false;
  /** Whether the program's own SAVE() is being answered. */
  #inSave = false;
  /** Whether it goes on elsewhere, and must never go on here. */
  #hasMoved = false;

  /**
   * @param machine what runs
   * @param linux whose program it runs
   * @param console whose terminal the program has while it runs
   */
  constructor(machine: Machine, linux: Linux, console?: ScriptConsole) {
    this.#machine = machine;
    this.#linux = linux;
    this.#console = console;
  }

  /** The state that the VM is in. */
  get state(): VmState {
    return this.#machine.lifecycle.state;
  }

  /** How it ended, when it has; not when it failed. */
  get end(): VmEnd | undefined {
    if (this.state !== "stopped") return undefined;
    return this.#linux.savedAndStopped
      ? { kind: "saved" }
      : this.#linux.exitStatus;
  }

  /** Checks the rest of a large image; a damaged one stops the VM. */
  check(image: ImageFile): void {
    this.#checking = image.verifyData({ signal: this.#closing.signal })
      .catch((error) => {
        if (this.#closing.signal.aborted) return;
        this.#failure ??= error;
        // Not awaited: what runs may be waiting for this check.
        void this.#pauseMachine();
      })
      .finally(() => image[Symbol.dispose]());
  }

  // --- running ---

  /**
   * Starts the program or lets it go on; one that is held still goes on once it
   * is not.
   *
   * @returns how it ended; when it was paused, settles only after it went on
   */
  run(): Promise<VmEnd> {
    // Before it runs: it may be paused again before this returns.
    this.#wantsRunning = true;
    try {
      if (!this.#isHeld) this.#resume();
    } catch (error) {
      this.#wantsRunning = this.state === "running";
      return Promise.reject(error);
    }
    return this.#ended.promise.then((end) => end);
  }

  #resume(): void {
    this.#machine.lifecycle.require("run", "created", "paused");
    if (this.#failure !== undefined) throw this.#failure;
    const { fds } = this.#linux;
    fds.locks.takeBack(fds.files());
    this.#linux.clock.start();
    terminalOf(this.#console)?.enter();
    this.#machine.run().then(
      () => this.#onSettled(),
      (error) => this.#onFailed(error),
    );
  }

  #onSettled(): void {
    this.#leaveTerminal();
    if (this.#failure !== undefined) return this.#onFailed(this.#failure);
    this.#linux.clock.stop();
    if (!this.end) return;
    this.#linux.devices.end();
    // Others may wait for its files: for a lock, or for the end of a pipe. A save
    // that is given up for a kill may read them still.
    const isRead = this.#isHeld && this.end.kind !== "saved";
    if (!isRead) this.#linux.closeFiles();
    void this.#resolveEnded(this.end);
  }

  async #resolveEnded(end: VmEnd): Promise<void> {
    await this.#checking;
    if (this.#failure === undefined) this.#ended.resolve(end);
    else this.#onFailed(this.#failure);
  }

  #onFailed(error: unknown): void {
    this.#linux.clock.stop();
    this.#wantsRunning = false;
    this.#ended.promise.catch(() => {}); // whoever ran it has one of their own
    this.#ended.reject(error);
    // It may go on after a save that failed, with a promise of its own.
    if (this.state === "paused" && this.#failure === undefined) {
      this.#ended = Promise.withResolvers();
    } else if (this.state !== "stopped") {
      this.#machine.lifecycle.enter("stopped");
    }
    if (this.state === "stopped") this.#linux.devices.end();
    this.#leaveTerminal();
  }

  /** Gives the terminal back as it was, until the program runs again. */
  #leaveTerminal(): void {
    const isOver = this.state === "stopped";
    terminalOf(this.#console)?.leave(isOver);
  }

  /** Stops between two instructions; nothing to do unless it is running. */
  async pause(): Promise<void> {
    this.#wantsRunning = false;
    await this.#pauseMachine();
  }

  async #pauseMachine(): Promise<void> {
    // From within onSave the vCPU is stopped already, and stays so afterwards.
    if (this.#inSave) return this.#machine.requestPause();
    await this.#machine.pause();
    if (this.state === "paused") this.#linux.clock.stop();
  }

  /** Ends the program from outside, and gives up whoever holds it. */
  async kill(): Promise<void> {
    this.#closing.abort();
    this.#machine.abandonDevices();
    // It may have been run again meanwhile.
    do await this.pause(); while (this.state === "running" && !this.#inSave);
    if (this.state === "stopped") return;
    this.#linux.terminate();
    this.#machine.lifecycle.enter("stopped");
    this.#onSettled();
  }

  /** Aborts when the VM is ended, or when `signal` does. */
  giveUp(signal?: AbortSignal): AbortSignal {
    const closing = this.#closing.signal;
    return signal ? AbortSignal.any([signal, closing]) : closing;
  }

  // --- held still ---

  /**
   * Holds the VM still while `use` is under way: a running one is paused before
   * and goes on after, unless it was stopped meanwhile. One waits for the other.
   *
   * @throws {VmError} when the VM has ended; {ImageError} when the image it came
   * from turns out to be damaged; what `use` throws
   */
  hold<T>(use: () => Promise<T>, options: HoldOptions): Promise<T> {
    const done = this.#holding.then(() => this.#hold(use, options));
    this.#holding = done.catch(() => {});
    return done;
  }

  async #hold<T>(
    use: () => Promise<T>,
    options: HoldOptions,
  ): Promise<T> {
    const { lifecycle } = this.#machine;
    lifecycle.require("save", "created", "running", "paused");
    // What is saved must not be damage that a new checksum makes good.
    if (this.#checking) await this.#checking;
    if (this.#failure !== undefined) throw this.#failure;
    // Within onSave it is not stopped yet: a second copy would run elsewhere.
    if (this.#hasMoved) {
      throw new VmError(
        "VM_STATE",
        "Cannot save the VM: it was saved already, to go on elsewhere",
      );
    }
    this.#isHeld = true;
    try {
      if (this.state === "running" && !this.#inSave) {
        await this.#pauseToSave(options);
        // The program may have ended meanwhile.
        lifecycle.require("save", "paused");
      }
      this.#machine.settle();
      return await use();
    } finally {
      this.#isHeld = false;
      const stands = this.state === "created" || this.state === "paused";
      if (this.#wantsRunning && stands && this.#failure === undefined) {
        this.#resume();
      }
    }
  }

  /** Pauses, but for a device that never answers. */
  async #pauseToSave(
    { quiesceTimeoutMs = QUIESCE_TIMEOUT_MS, signal }: HoldOptions,
  ): Promise<void> {
    const paused = this.#pauseMachine();
    let device: string | undefined;
    try {
      const either = this.giveUp(signal);
      if (await settlesWithin(paused, quiesceTimeoutMs, either)) return;
      device = this.#machine.awaitedDevice;
      if (device === undefined) return await paused;
      throw tooLate(device, quiesceTimeoutMs);
    } finally {
      if (this.state === "running") {
        paused.catch(() => {});
        // Unless somebody else wants it paused, it goes on.
        const goesOn = this.#wantsRunning && this.#failure === undefined;
        if (goesOn) this.#machine.cancelPause();
      }
    }
  }

  /** Ends the VM, which goes on elsewhere. */
  stopAsSaved(): void {
    if (this.end) return;
    this.#hasMoved = true;
    // The loop that awaits onSave stops when it is told so.
    if (this.#inSave) return;
    this.#linux.savedAndStopped = true;
    this.#machine.lifecycle.enter("stopped");
    this.#onSettled();
  }

  /**
   * Has the program's own SAVE() answered: the vCPU is stopped meanwhile, and
   * the VM need not be paused to be held still.
   */
  async answerSave(
    onSave: () => Promise<SaveAnswer | void>,
  ): Promise<SaveAnswer> {
    this.#linux.clock.stop();
    this.#inSave = true;
    try {
      const answer = await onSave() ?? 0;
      return this.#hasMoved ? "stop" : answer;
    } catch (error) {
      if (!this.#hasMoved) throw error;
      // It must not go on here, whatever went wrong after it had moved.
      this.#failure ??= error;
      return "stop";
    } finally {
      // Saves that others began meanwhile read memory, too.
      for (let last; last !== this.#holding;) await (last = this.#holding);
      this.#inSave = false;
      this.#linux.clock.start();
    }
  }

  /** Ends the program if it runs, and waits for who holds it and for the check. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#machine.abandonDevices();
    await this.#holding;
    await this.kill();
    await this.#checking;
  }
}
