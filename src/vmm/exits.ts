/**
 * What a vCPU's exits mean: a system call, an exception, a device.
 *
 * @module
 */

import {
  decodeExit,
  KVM_EXIT,
  KVM_SYNC,
  type KvmRun,
  REG,
} from "../kvm/mod.ts";
import type { Bus } from "./bus.ts";
import { GuestError, VmError } from "./errors.ts";
import {
  EXCEPTION_PORT,
  EXCEPTION_STUB_BYTES,
  EXCEPTION_VECTORS,
  KERNEL_BLOCK,
  KERNEL_VA,
  SYSCALL_PORT,
  SYSCALL_STUB_VA,
} from "./layout.ts";
import { OUTCOME, type Outcome, type Personality } from "./personality.ts";

/** The exits that are common; constants of this file are fastest. */
const EXIT = {
  io: KVM_EXIT.KVM_EXIT_IO,
  mmio: KVM_EXIT.KVM_EXIT_MMIO,
  intr: KVM_EXIT.KVM_EXIT_INTR,
} as const;

/** Where the stubs are, in halves of 32 bits. */
const STUB_LOW = SYSCALL_STUB_VA % 0x1_0000_0000;
const STUB_HIGH = Math.floor(SYSCALL_STUB_VA / 0x1_0000_0000);
const EXCEPTION_STUBS = KERNEL_VA + BigInt(KERNEL_BLOCK.exceptionStubs);
const EXCEPTION_LOW = Number(EXCEPTION_STUBS & 0xffff_ffffn);
const EXCEPTION_HIGH = Number(EXCEPTION_STUBS >> 32n);

/** What a device's handler does, when it answers later. */
export interface DeviceWork {
  /** The device's id. */
  readonly owner: string;
  /**
   * Settles with the device; rejects with a {@linkcode VmError} that names it.
   * What it gives puts the answer where the vCPU takes it, if it is to go on.
   */
  readonly done: Promise<() => void>;
}

/** Answers the exits of one vCPU. */
export class ExitHandler {
  /** What a device does for the last exit, when the outcome is `device`. */
  deviceWork: DeviceWork | undefined;
  /** Whether the last exit was a device's to answer. */
  isDeviceAccess = false;

  readonly #run: KvmRun;
  readonly #bus: Bus;
  readonly #personality: Personality;
  readonly #complete: () => number;

  /**
   * @param run the page shared with the kernel
   * @param bus who answers ports and MMIO
   * @param personality who answers all else
   * @param complete has KVM complete the last exit: 0 when that is another one
   */
  constructor(
    run: KvmRun,
    bus: Bus,
    personality: Personality,
    complete: () => number,
  ) {
    this.#run = run;
    this.#bus = bus;
    this.#personality = personality;
    this.#complete = complete;
  }

  /**
   * Answers the exit that KVM_RUN has just returned with.
   *
   * @throws {GuestError} for one that the guest cannot go on from
   */
  handle(): Outcome {
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
    const claim = this.#bus.port(port);
    if (!claim) return this.#refuse();
    this.isDeviceAccess = true;
    const isWrite = run.ioDirection === 1;
    const sizeBytes = run.ioSizeBytes;
    const work: Promise<() => void>[] = [];
    const failed = (cause: unknown) =>
      deviceFailed(
        this.#bus.portOwner(port),
        `${isWrite ? "out to" : "in from"} port 0x${port.toString(16)}`,
        cause,
      );
    try {
      for (let i = 0; i < run.ioCount; i++) {
        const at = run.ioDataOffset + i * sizeBytes;
        if (isWrite) {
          const value = readSized(run, at, sizeBytes);
          const done = claim.write?.(port, sizeBytes, value);
          if (isPromise(done)) work.push(done.then(() => () => {}));
        } else {
          const value = claim.read ? claim.read(port, sizeBytes) : -1;
          const put = (given: number) => {
            checkNumber(given);
            return () => writeSized(run, at, sizeBytes, given);
          };
          if (isPromise(value)) work.push(value.then(put));
          else put(value)();
        }
      }
    } catch (cause) {
      for (const one of work) one.catch(() => {});
      throw failed(cause);
    }
    return this.#await(this.#bus.portOwner(port), work, failed);
  }

  /**
   * Refuses an access that no device answers. A KVM that emulates it goes on
   * behind it when it runs next, wherever RIP was set to meanwhile: it does so
   * now, and the registers are as they were before.
   */
  #refuse(): Outcome {
    const run = this.#run;
    const before = run.syncRegsU32.slice();
    if (run.ioDirection === 0) {
      // Where a long one puts it in memory, it finds what nothing answers.
      const { ioDataOffset: from, ioSizeBytes, ioCount } = run;
      run.u8.fill(0xff, from, from + ioSizeBytes * ioCount);
    }
    const isOver = this.#complete() !== 0;
    run.syncRegsU32.set(before);
    run.syncDirty |= KVM_SYNC.REGS;
    return this.#personality.onUnclaimedPort(isOver);
  }

  #onMmio(): Outcome {
    const run = this.#run;
    const claim = this.#bus.mmio(run.mmioGpa);
    const data = run.mmioData;
    if (!claim) {
      throw new GuestError(
        `The guest used gpa 0x${run.mmioGpa.toString(16)}, which is no memory`,
      );
    }
    this.isDeviceAccess = true;
    const gpa = run.mmioGpa;
    const isWrite = run.mmioIsWrite;
    const offset = gpa - claim.gpa;
    const failed = (cause: unknown) =>
      deviceFailed(
        this.#bus.mmioOwner(gpa),
        `${isWrite ? "write to" : "read from"} gpa 0x${gpa.toString(16)}`,
        cause,
      );
    // A copy: a handler that answers late must not reach the shared page, which
    // may be gone by then. What nothing answers reads as all ones.
    const own = data.slice();
    if (!isWrite) own.fill(claim.read ? 0 : 0xff);
    let done: void | Promise<void>;
    try {
      done = isWrite ? claim.write?.(offset, own) : claim.read?.(offset, own);
    } catch (cause) {
      throw failed(cause);
    }
    const put = () => {
      if (!isWrite) data.set(own);
    };
    if (isPromise(done)) {
      return this.#await(
        this.#bus.mmioOwner(gpa),
        [done.then(() => put)],
        failed,
      );
    }
    put();
    return OUTCOME.run;
  }

  #await(
    owner: string,
    work: Promise<() => void>[],
    failed: (cause: unknown) => VmError,
  ): Outcome {
    if (work.length === 0) return OUTCOME.run;
    const done = Promise.all(work).then(
      (all) => () => all.forEach((put) => put()),
      (cause) => {
        throw failed(cause);
      },
    );
    // It may be given up, and fail when nobody waits any more.
    done.catch(() => {});
    this.deviceWork = { owner, done };
    return OUTCOME.device;
  }
}

/** The error for what a device's handler threw. */
function deviceFailed(owner: string, what: string, cause: unknown): VmError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new VmError(
    "VM_DEVICE",
    `Device "${owner}" failed at ${what}: ${why}`,
    { cause },
  );
}

/** A handler may also give something else than it should: that is no answer. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null)?.then === "function";
}

function checkNumber(given: unknown): void {
  if (typeof given === "number") return;
  throw new TypeError(`it gave ${typeof given}, must be a number`);
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
