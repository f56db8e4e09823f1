/**
 * The machine: one vCPU with its memory and bus, and the loop that runs it.
 *
 * The loop stays in one thread, the one that runs JavaScript, for as long as
 * the program makes system calls: an exit is handled in place. A program that
 * computes for longer than a slice is run off-thread, so that the event loop
 * goes on, and comes back at its next exit.
 *
 * @module
 */

import {
  ERRNO,
  KVM_EXIT,
  KVM_SYNC,
  type KvmRun,
  type KvmVcpu,
} from "../kvm/mod.ts";
import { yieldToEventLoop } from "../state/mod.ts";
import { Bus } from "./bus.ts";
import { GuestError, VmError } from "./errors.ts";
import { ExitHandler } from "./exits.ts";
import { kickThreadsInRun, SliceTimer } from "./kick.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { Memory } from "./memory.ts";
import { OUTCOME, type Outcome, type Personality } from "./personality.ts";

/** How long a guest may keep the JavaScript thread without an exit, ms. */
const SLICE_MS = 5;

/** How long exits may follow each other before the event loop has a turn, ms. */
const TURN_MS = 10;

/** How long to wait for a kicked vCPU before it is kicked again, ms. */
const RETRY_KICK_MS = 2;

/** One vCPU, its memory and bus, and who answers its exits. */
export class Machine {
  /** The vCPU. */
  readonly vcpu: KvmVcpu;
  /** Guest memory. */
  readonly memory: Memory;
  /** Ports and MMIO. */
  readonly bus: Bus;
  /** The state it is in. */
  readonly lifecycle = new Lifecycle();
  /** How often the guest has left, and how often its thread was changed. */
  readonly counters = { exits: 0, offThreadRuns: 0 };

  readonly #run: KvmRun;
  readonly #personality: Personality;
  readonly #exits: ExitHandler;
  readonly #timer = new SliceTimer(SLICE_MS);
  #interrupt = new AbortController();
  #pauseRequested = false;
  #loop: Promise<void> | undefined;
  /** The device that is waited for. */
  #awaited: { readonly owner: string; readonly giveUp: () => void } | undefined;
  #abandonsDevices = false;

  /**
   * @param vcpu a vCPU that holds the state to start from
   * @param memory its memory, attached already
   * @param personality who answers
   * @param bus its devices
   */
  constructor(
    vcpu: KvmVcpu,
    memory: Memory,
    personality: Personality,
    bus: Bus = new Bus(),
  ) {
    this.bus = bus;
    this.vcpu = vcpu;
    this.memory = memory;
    this.#run = vcpu.run;
    this.#personality = personality;
    this.#exits = new ExitHandler(
      this.#run,
      this.bus,
      personality,
      () => this.#complete(),
    );
    this.#run.syncValid = KVM_SYNC.REGS | KVM_SYNC.SREGS;
  }

  /**
   * Starts or goes on; the promise settles when the guest is paused or stopped.
   *
   * @throws {VmError} unless created or paused; {GuestError} when KVM cannot go
   * on; what {@linkcode Personality.save} throws, which leaves the machine paused
   */
  run(): Promise<void> {
    this.lifecycle.enter("running");
    this.#pauseRequested = false;
    this.#interrupt = new AbortController();
    this.#loop = this.#runLoop();
    return this.#loop;
  }

  /** Asks a running machine to pause, and does not wait until it has. */
  requestPause(): void {
    this.#pauseRequested = true;
    this.#interrupt.abort();
  }

  /** Takes back a request to pause that has not been followed yet. */
  cancelPause(): void {
    this.#pauseRequested = false;
    this.#interrupt = new AbortController();
  }

  /** The id of the device whose handler has not answered yet. */
  get awaitedDevice(): string | undefined {
    return this.#awaited?.owner;
  }

  /**
   * Waits for no device any more: the VM is to be ended. A loop that waits for
   * one ends, paused in the middle of an access.
   */
  abandonDevices(): void {
    this.#abandonsDevices = true;
    this.#awaited?.giveUp();
  }

  /** Stops the vCPU between two instructions. Nothing to do when it is not running. */
  async pause(): Promise<void> {
    if (this.lifecycle.state !== "running") return;
    this.requestPause();
    const loop = this.#loop;
    const done = Promise.resolve(loop).catch(() => {});
    await Promise.race([done, this.#kickOut()]);
    await done;
  }

  /** Gets the vCPU out of a run on another thread. */
  async #kickOut(): Promise<void> {
    const running = this.#offThreadRun;
    while (running && this.#offThreadRun === running) {
      this.#run.immediateExit = 1;
      kickThreadsInRun(this.vcpu.fd);
      // A kick can come before the thread is in KVM_RUN; look again soon.
      let timer: ReturnType<typeof setTimeout> | undefined;
      const retry = new Promise((resolve) => {
        timer = setTimeout(resolve, RETRY_KICK_MS);
      });
      await Promise.race([running, retry]);
      clearTimeout(timer);
    }
  }

  /** The run on another thread that is under way. */
  #offThreadRun: Promise<number> | undefined;

  /**
   * Completes the last exit, so that the vCPU's registers are final and may be
   * read. Only while paused.
   */
  settle(): void {
    const result = this.#complete();
    if (result !== -ERRNO.EINTR) {
      throw new VmError(
        "VM_EXIT",
        `Cannot settle the vCPU: KVM_RUN answered ${result}`,
      );
    }
  }

  /**
   * Has KVM complete the last exit and run no instruction.
   *
   * @returns -EINTR; 0 when that is another exit
   */
  #complete(): number {
    this.#run.immediateExit = 1;
    const result = this.vcpu.runSync();
    this.#run.immediateExit = 0;
    return result;
  }

  /** Takes over a vCPU that holds a saved state: the machine is paused. */
  adopt(): void {
    this.lifecycle.enter("paused");
    this.settle();
  }

  async #runLoop(): Promise<void> {
    const personality = this.#personality;
    try {
      let outcome: Outcome = personality.begin();
      for (;;) {
        if (outcome === OUTCOME.stop) {
          await personality.rest();
          this.settle();
          this.lifecycle.enter("stopped");
          return;
        }
        if (outcome === OUTCOME.save) {
          outcome = await this.#save();
          continue;
        }
        if (outcome === OUTCOME.device) {
          if (!await this.#finishDeviceWork()) return await this.#enterPaused();
          outcome = OUTCOME.run;
        }
        if (this.#pauseRequested) {
          // An access of several pieces is done when all of them are.
          const next = this.#completeAccess();
          if (next !== undefined) {
            outcome = next;
            continue;
          }
          return await this.#enterPaused();
        }
        switch (outcome) {
          case OUTCOME.run:
            outcome = this.#runSlice();
            break;
          case OUTCOME.compute:
            outcome = await this.#runOffThread();
            break;
          case OUTCOME.yield:
            await yieldToEventLoop();
            // An answer to a device's access is the task's that asked for it.
            outcome = this.#completeAccess() ?? personality.turn();
            break;
          case OUTCOME.wait:
            outcome = await personality.next(this.#interrupt.signal);
            break;
        }
      }
    } catch (error) {
      await personality.rest();
      if (this.lifecycle.state === "running") this.lifecycle.enter("stopped");
      throw error;
    }
  }

  async #enterPaused(): Promise<void> {
    await this.#personality.rest();
    this.lifecycle.enter("paused");
  }

  /** Waits for a device; false when it was given up. */
  async #finishDeviceWork(): Promise<boolean> {
    const { owner, done } = this.#exits.deviceWork!;
    this.#exits.deviceWork = undefined;
    if (this.#abandonsDevices) return false;
    const { promise, resolve: giveUp } = Promise.withResolvers<void>();
    this.#awaited = { owner, giveUp };
    try {
      const put = await Promise.race([done, promise]);
      put?.();
      return put !== undefined;
    } finally {
      this.#awaited = undefined;
    }
  }

  /**
   * Has KVM take the answer to an access of a device's ports or addresses, so
   * that the vCPU is between two instructions. KVM hands out a long access
   * (`rep ins`, 16 bytes of MMIO) in pieces.
   *
   * @returns what to do about the next piece; `undefined` when there is none
   */
  #completeAccess(): Outcome | undefined {
    if (!this.#exits.isDeviceAccess) return undefined;
    const result = this.#complete();
    this.#exits.isDeviceAccess = false;
    return result === 0 ? this.#exits.handle() : undefined;
  }

  /** Answers a request to be saved; one that throws leaves the machine paused. */
  async #save(): Promise<Outcome> {
    try {
      const outcome = await this.#personality.save();
      // It may have been ended meanwhile, and its vCPU be gone.
      if (this.lifecycle.state === "running") return outcome;
    } catch (error) {
      if (this.lifecycle.state === "running") this.lifecycle.enter("paused");
      throw error;
    }
    throw new VmError("VM_STATE", "The VM was ended while it was being saved");
  }

  /** Runs in this thread, until something else than an exit is to be done. */
  #runSlice(): Outcome {
    const vcpu = this.vcpu;
    const started = performance.now();
    let exits = 0;
    let exitsAtInterruption = 0;
    this.#timer.arm();
    try {
      for (;;) {
        const result = vcpu.runSync();
        if (result === 0) {
          exits++;
          const outcome = this.#exits.handle();
          if (outcome !== OUTCOME.run) return outcome;
          if (this.#pauseRequested) return OUTCOME.run;
          // After each: one call may take as long as many others.
          if (performance.now() - started > TURN_MS) return OUTCOME.yield;
        } else if (result === -ERRNO.EINTR) {
          if (exits === exitsAtInterruption) {
            return this.#personality.hasReady ? OUTCOME.yield : OUTCOME.compute;
          }
          exitsAtInterruption = exits;
        } else if (result === -ERRNO.EFAULT) {
          // Memory is always there; what a program maps of a file need not be.
          const outcome = this.#personality.onMissingPage();
          if (outcome === OUTCOME.run) continue;
          if (outcome !== undefined) return outcome;
          throw new GuestError("Cannot run the vCPU: its memory is not there");
        } else if (result !== -ERRNO.EAGAIN) {
          throw new GuestError(
            `Cannot run the vCPU: KVM_RUN failed with errno ${-result}`,
          );
        }
      }
    } finally {
      this.counters.exits += exits;
      this.#timer.disarm();
    }
  }

  /** Runs on another thread, until the next exit or a kick. */
  async #runOffThread(): Promise<Outcome> {
    this.counters.offThreadRuns++;
    this.#run.exitReason = KVM_EXIT.KVM_EXIT_UNKNOWN;
    const running = this.vcpu.runAsync();
    this.#offThreadRun = running;
    const unwatch = this.#personality.watch(() => void this.#kickOut());
    let result: number;
    try {
      result = await running;
    } finally {
      unwatch();
      this.#offThreadRun = undefined;
      this.#run.immediateExit = 0;
    }
    // A failure's errno is another thread's: if it was not a kick, the next
    // run in this thread meets the same failure, and names it.
    if (result !== 0) {
      return this.#pauseRequested ? OUTCOME.run : this.#personality.turn();
    }
    this.counters.exits++;
    return this.#exits.handle();
  }

  /** Deletes the timer; the vCPU and the memory have owners of their own. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
