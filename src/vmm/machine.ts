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
  decodeExit,
  ERRNO,
  type KvmRun,
  type KvmVcpu,
  REG,
} from "../kvm/mod.ts";
import { yieldToEventLoop } from "../state/mod.ts";
import { Bus } from "./bus.ts";
import { GuestError, VmError } from "./errors.ts";
import { kickThreadsInRun, SliceTimer } from "./kick.ts";
import {
  EXCEPTION_PORT,
  EXCEPTION_STUB_BYTES,
  EXCEPTION_VECTORS,
  KERNEL_BLOCK,
  KERNEL_VA,
  SYSCALL_PORT,
  SYSCALL_STUB_VA,
} from "./layout.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { Memory } from "./memory.ts";

/** What the loop does next. */
export const OUTCOME = {
  /** Enter the guest. */
  run: 0,
  /** Wait for what a system call needs, then try it again. */
  wait: 1,
  /** The program has ended. */
  stop: 2,
  /** The program asked to be saved. */
  save: 3,
  /** Let the event loop have a turn. */
  yield: 4,
  /** The guest computes: run it off-thread. */
  compute: 5,
  /** A device's handler is under way: await it. */
  device: 6,
} as const;

/** One of {@linkcode OUTCOME}'s values. */
export type Outcome = typeof OUTCOME[keyof typeof OUTCOME];

/** What gives the guest's exits their meaning: an operating system's stand-in. */
export interface Personality {
  /** A system call; its registers are in the vCPU's `run.syncRegs`. */
  onSyscall(): Outcome;
  /** An exception; its frame is on the exception stack. */
  onException(vector: number): Outcome;
  /** `in` or `out` on a port that no device claims. */
  onUnclaimedPort(port: number): Outcome;
  /** Whether a system call waits. */
  readonly isWaiting: boolean;
  /** Tries the waiting system call again. */
  retry(): Outcome;
  /** Resolves when a retry may succeed, or when `signal` aborts. */
  wait(signal: AbortSignal): Promise<void>;
  /** Answers the program's request to be saved. */
  save(): Promise<Outcome>;
}

/** How long a guest may keep the JavaScript thread without an exit, ms. */
const SLICE_MS = 5;

/** How long exits may follow each other before the event loop has a turn, ms. */
const TURN_MS = 10;

/** How long to wait for a kicked vCPU before it is kicked again, ms. */
const RETRY_KICK_MS = 2;

/** KVM_EXIT_* that the loop handles itself, from linux/kvm.h. */
const EXIT = { unknown: 0, io: 2, mmio: 6, intr: 10 } as const;

/** KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, from asm/kvm.h. */
const SYNC_REGS_AND_SREGS = 3;

const STUB_LOW = SYSCALL_STUB_VA % 0x1_0000_0000;
const STUB_HIGH = Math.floor(SYSCALL_STUB_VA / 0x1_0000_0000);
const EXCEPTION_STUBS = KERNEL_VA + BigInt(KERNEL_BLOCK.exceptionStubs);
const EXCEPTION_LOW = Number(EXCEPTION_STUBS & 0xffff_ffffn);
const EXCEPTION_HIGH = Number(EXCEPTION_STUBS >> 32n);

/** One vCPU, its memory and bus, and who answers its exits. */
export class Machine {
  /** The vCPU. */
  readonly vcpu: KvmVcpu;
  /** Guest memory. */
  readonly memory: Memory;
  /** Ports and MMIO. */
  readonly bus = new Bus();
  /** The state it is in. */
  readonly lifecycle = new Lifecycle();
  /** How often the guest has left, and how often its thread was changed. */
  readonly counters = { exits: 0, offThreadRuns: 0 };

  readonly #run: KvmRun;
  readonly #personality: Personality;
  readonly #timer = new SliceTimer(SLICE_MS);
  #interrupt = new AbortController();
  #pauseRequested = false;
  #offThread = false;
  #loop: Promise<void> | undefined;
  #deviceWork: Promise<void> | undefined;

  /**
   * @param vcpu a vCPU that holds the state to start from
   * @param memory its memory, attached already
   * @param personality who answers
   */
  constructor(vcpu: KvmVcpu, memory: Memory, personality: Personality) {
    this.vcpu = vcpu;
    this.memory = memory;
    this.#run = vcpu.run;
    this.#personality = personality;
    this.#run.syncValid = SYNC_REGS_AND_SREGS;
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

  /** Stops the vCPU between two instructions. Nothing to do when it is not running. */
  async pause(): Promise<void> {
    if (this.lifecycle.state !== "running") return;
    this.requestPause();
    const loop = this.#loop;
    let settled = false;
    const done = Promise.resolve(loop).catch(() => {}).finally(() => {
      settled = true;
    });
    while (this.#offThread && !settled) {
      this.#run.immediateExit = 1;
      kickThreadsInRun(this.vcpu.fd);
      // A kick can come before the thread is in KVM_RUN; look again soon.
      let timer: ReturnType<typeof setTimeout> | undefined;
      const retry = new Promise((resolve) => {
        timer = setTimeout(resolve, RETRY_KICK_MS);
      });
      await Promise.race([done, this.#offThreadDone, retry]);
      clearTimeout(timer);
    }
    await done;
  }

  /** For {@linkcode pause}: settles with the off-thread run now under way. */
  #offThreadDone: Promise<unknown> = Promise.resolve();

  /**
   * Completes the last exit, so that the vCPU's registers are final and may be
   * read. Only while paused.
   */
  settle(): void {
    this.#run.immediateExit = 1;
    const result = this.vcpu.runSync();
    this.#run.immediateExit = 0;
    if (result !== -ERRNO.EINTR) {
      throw new VmError(
        "VM_EXIT",
        `Cannot settle the vCPU: KVM_RUN answered ${result}`,
      );
    }
  }

  /** Takes over a vCPU that holds a saved state: the machine is paused. */
  adopt(): void {
    this.lifecycle.enter("paused");
    this.settle();
  }

  async #runLoop(): Promise<void> {
    let outcome: Outcome = this.#personality.isWaiting
      ? this.#personality.retry()
      : OUTCOME.run;
    try {
      for (;;) {
        if (outcome === OUTCOME.stop) {
          this.settle();
          this.lifecycle.enter("stopped");
          return;
        }
        if (outcome === OUTCOME.save) {
          outcome = await this.#save();
          continue;
        }
        if (outcome === OUTCOME.device) {
          await this.#deviceWork;
          outcome = OUTCOME.run;
        }
        if (this.#pauseRequested) {
          this.lifecycle.enter("paused");
          return;
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
            outcome = OUTCOME.run;
            break;
          case OUTCOME.wait:
            await this.#personality.wait(this.#interrupt.signal);
            if (!this.#pauseRequested) outcome = this.#personality.retry();
            break;
        }
      }
    } catch (error) {
      if (this.lifecycle.state === "running") this.lifecycle.enter("stopped");
      throw error;
    }
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
          const outcome = this.#onExit();
          if (outcome !== OUTCOME.run) return outcome;
          if (this.#pauseRequested) return OUTCOME.run;
          exits++;
          // After each: one call may take as long as many others.
          if (performance.now() - started > TURN_MS) return OUTCOME.yield;
        } else if (result === -ERRNO.EINTR) {
          if (exits === exitsAtInterruption) return OUTCOME.compute;
          exitsAtInterruption = exits;
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
    this.#run.exitReason = EXIT.unknown;
    this.#offThread = true;
    let result: number;
    try {
      const running = this.vcpu.runAsync();
      this.#offThreadDone = running;
      result = await running;
    } finally {
      this.#offThread = false;
      this.#run.immediateExit = 0;
    }
    // A failure's errno is another thread's: if it was not a kick, the next
    // run in this thread meets the same failure, and names it.
    if (result !== 0) return OUTCOME.run;
    this.counters.exits++;
    return this.#onExit();
  }

  #onExit(): Outcome {
    const run = this.#run;
    const reason = run.exitReason;
    if (reason === EXIT.io) return this.#onPort(run.ioPort);
    if (reason === EXIT.mmio) return this.#onMmio();
    if (reason === EXIT.intr) return OUTCOME.run;
    const exit = decodeExit(run);
    throw new GuestError(
      `The guest left in a way it cannot go on from: ${
        JSON.stringify(
          exit,
          (_key, value) =>
            typeof value === "bigint" ? `0x${value.toString(16)}` : value,
        )
      }`,
    );
  }

  #onPort(port: number): Outcome {
    const run = this.#run;
    const regs = run.syncRegsU32;
    const low = regs[REG.rip];
    const high = regs[REG.rip + 1];
    // RIP is the `out` or what follows it, as KVM was emulating or not.
    if (port === SYSCALL_PORT) {
      if (high === STUB_HIGH && (low === STUB_LOW || low === STUB_LOW + 2)) {
        return this.#personality.onSyscall();
      }
    } else if (
      port >= EXCEPTION_PORT && port < EXCEPTION_PORT + EXCEPTION_VECTORS &&
      run.syncCsDpl === 0
    ) {
      const vector = port - EXCEPTION_PORT;
      const stub = EXCEPTION_LOW + vector * EXCEPTION_STUB_BYTES;
      if (high === EXCEPTION_HIGH && (low === stub || low === stub + 2)) {
        return this.#personality.onException(vector);
      }
    }
    const claim = this.bus.port(port);
    if (!claim) return this.#personality.onUnclaimedPort(port);
    const isWrite = run.ioDirection === 1;
    const sizeBytes = run.ioSizeBytes;
    const work: Promise<void>[] = [];
    for (let i = 0; i < run.ioCount; i++) {
      const at = run.ioDataOffset + i * sizeBytes;
      if (isWrite) {
        const done = claim.write?.(
          port,
          sizeBytes,
          readSized(run, at, sizeBytes),
        );
        if (done) work.push(done);
      } else {
        const value = claim.read ? claim.read(port, sizeBytes) : -1;
        if (typeof value === "number") writeSized(run, at, sizeBytes, value);
        else work.push(value.then((v) => writeSized(run, at, sizeBytes, v)));
      }
    }
    return this.#await(work);
  }

  #onMmio(): Outcome {
    const run = this.#run;
    const claim = this.bus.mmio(run.mmioGpa);
    const data = run.mmioData;
    if (!claim) {
      throw new GuestError(
        `The guest used gpa 0x${run.mmioGpa.toString(16)}, which is no memory`,
      );
    }
    const offset = run.mmioGpa - claim.gpa;
    const done = run.mmioIsWrite
      ? claim.write?.(offset, data)
      : claim.read?.(offset, data);
    return this.#await(done ? [done] : []);
  }

  #await(work: Promise<void>[]): Outcome {
    if (work.length === 0) return OUTCOME.run;
    this.#deviceWork = Promise.all(work).then(() => {});
    return OUTCOME.device;
  }

  /** Deletes the timer; the vCPU and the memory have owners of their own. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}

function readSized(run: KvmRun, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return run.view.getUint8(at);
  if (sizeBytes === 2) return run.view.getUint16(at, true);
  return run.view.getUint32(at, true);
}

function writeSized(
  run: KvmRun,
  at: number,
  sizeBytes: number,
  value: number,
): void {
  if (sizeBytes === 1) run.view.setUint8(at, value);
  else if (sizeBytes === 2) run.view.setUint16(at, value, true);
  else run.view.setUint32(at, value, true);
}
