/**
 * The Linux personality: what stands where a kernel would.
 *
 * @module
 */

import { ERRNO, type KvmRun } from "../kvm/mod.ts";
import type {
  Clock,
  FdTable,
  HostPaths,
  PendingCall,
  PendingIo,
} from "../devices/mod.ts";
import {
  type Memory,
  OUTCOME,
  type Outcome,
  PAGE_BYTES,
  type Personality,
  PROT,
} from "../vmm/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import type { Devices } from "./devices.ts";
import { OutOfMemoryError } from "./area_memory.ts";
import {
  beyondFile,
  PAGE_FAULT,
  PAGE_FAULT_ERROR,
  readExceptionFrame,
  SIGNAL,
  type Signaled,
  signalOf,
} from "./faults.ts";
import type { Process } from "./process.ts";
import { Registers } from "./registers.ts";
import { syscallName } from "./syscall_numbers.ts";
import { SAVE_NUMBER, SYSCALLS } from "./syscalls/mod.ts";
import type { Tracer } from "./trace.ts";
import { UserMemory } from "./user_memory.ts";

/**
 * What a handler answers instead of a result when the call has to wait; it has
 * called {@linkcode Linux.waitFor} before. No result has this value: errno
 * values end at -4095.
 */
export const WAITING = -0x1_0000_0001;

/** What a handler answers when the program has ended, or asked for a save. */
export const LEFT = -0x1_0000_0002;

/** A system call: its result, a negative errno, or one of the two above. */
export type SyscallHandler = (linux: Linux, args: Registers) => number;

/** How a program ended. */
export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | ({ readonly kind: "signaled" } & Signaled);

/** How often the same address may fault in a row before it is given up. */
const MAX_EQUAL_FAULTS = 16;

/** The parts of a VM that the personality works with. */
export interface LinuxParts {
  /** Guest memory. */
  readonly memory: Memory;
  /** The page shared with the kernel. */
  readonly run: KvmRun;
  /** The program's address space. */
  readonly space: AddressSpace;
  /** What Linux keeps of the process. */
  readonly process: Process;
  /** Its descriptors. */
  readonly fds: FdTable;
  /** Its waiting call. */
  readonly pending: PendingIo;
  /** Its clocks. */
  readonly clock: Clock;
  /** The host's files it may reach. */
  readonly paths: HostPaths;
  /** The devices that are plugins. */
  readonly devices: Devices;
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
  /** Answers SAVE(); absent: it fails with ENOSYS. */
  readonly onSave?: () => Promise<SaveAnswer>;
}

/**
 * What became of the program's request to be saved: the result that SAVE()
 * gives in the program that goes on, or "stop" when it goes on elsewhere.
 */
export type SaveAnswer = number | "stop";

/** The Linux personality of one VM. */
export class Linux implements Personality {
  readonly memory: Memory;
  readonly space: AddressSpace;
  readonly process: Process;
  readonly fds: FdTable;
  readonly pending: PendingIo;
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly devices: Devices;
  readonly ids: { readonly uid: number; readonly gid: number };
  /** What CPUID tells the program: a `struct kvm_cpuid2`. */
  readonly cpuid: () => Uint8Array;
  /** The program's memory, by its own addresses. */
  readonly user: UserMemory;
  /** The program's registers. */
  readonly registers: Registers;
  /** How the program ended, when it has. */
  exitStatus: ExitStatus | undefined;
  /** Set once the program was saved and is to go on elsewhere. */
  savedAndStopped = false;

  readonly #options: LinuxOptions;
  readonly #warned = new Set<string>();
  #lastFault = { address: -1, count: 0 };
  /** The waiting call, while it is tried again. */
  #resumed: PendingCall | null = null;

  /** @param parts what it works with @param options what the user chose */
  constructor(parts: LinuxParts, options: LinuxOptions = {}) {
    this.memory = parts.memory;
    this.space = parts.space;
    this.process = parts.process;
    this.fds = parts.fds;
    this.pending = parts.pending;
    this.clock = parts.clock;
    this.paths = parts.paths;
    this.devices = parts.devices;
    this.ids = parts.ids;
    this.cpuid = parts.cpuid;
    this.user = new UserMemory(parts.memory, parts.space);
    this.registers = new Registers(parts.run);
    this.#options = options;
  }

  /** Tells the user something, once. */
  warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#options.warn?.(message);
  }

  /** Ends the program as a signal does that nobody handles. */
  kill(signaled: Signaled): number {
    this.exitStatus = { kind: "signaled", ...signaled };
    return LEFT;
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
    this.#lastFault.count = 0;
    if (!registers.leaveSyscall()) {
      this.kill({
        signal: SIGNAL.SIGSEGV,
        what: "return to a non-canonical address",
        address: 0n,
        rip: registers.rip,
      });
      return OUTCOME.stop;
    }
    return this.#dispatch(registers.callNumber);
  }

  #dispatch(number: number): Outcome {
    const { registers } = this;
    if (number === SAVE_NUMBER) return this.#beginSave();
    const handler = SYSCALLS[number];
    let result: number;
    try {
      result = handler === undefined
        ? this.#unknownCall(number)
        : handler(this, registers);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      result = this.#outOfMemory(error);
    }
    if (result === WAITING) return OUTCOME.wait;
    this.pending.call = null;
    const shown = result === LEFT ? undefined : result;
    this.#options.tracer?.syscall(number, registers, shown, this);
    if (result === LEFT) return OUTCOME.stop;
    registers.setResult(result);
    return OUTCOME.run;
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

  #outOfMemory(error: OutOfMemoryError): number {
    this.warnOnce(`${error.message} (${error.hint})`);
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
  }): number {
    const { registers } = this;
    const number = registers.callNumber;
    this.pending.call = {
      operation: syscallName(number),
      number,
      arguments: [0, 1, 2, 3, 4, 5].map((i) => registers.big(i)),
      doneBytes: what.doneBytes ?? 0,
      deadlineNs: what.deadlineNs ?? null,
      waitsFor: what.waitsFor ?? [],
    };
    return WAITING;
  }

  /** Whether a system call waits. */
  get isWaiting(): boolean {
    return this.pending.call !== null;
  }

  /** Tries the waiting call again: its registers are as they were. */
  retry(): Outcome {
    const { call } = this.pending;
    if (!call) return OUTCOME.run;
    this.#resumed = call;
    try {
      return this.#dispatch(call.number);
    } finally {
      this.#resumed = null;
    }
  }

  /** Resolves when the waiting call may go on, or when `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const from = this.clock.monotonicNs();
    await this.pending.wait(this.fds, this.clock, signal);
    this.process.state.waitedNs += this.clock.monotonicNs() - from;
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
    try {
      answer = await this.#options.onSave!();
    } catch (error) {
      // What the program is told, should it go on all the same.
      this.registers.setResult(-ERRNO.EIO);
      throw error;
    }
    if (answer === "stop") {
      this.savedAndStopped = true;
      return OUTCOME.stop;
    }
    this.registers.setResult(answer);
    return OUTCOME.run;
  }

  // --- exceptions ---

  /** Answers an exception: a page to be populated, or the program's end. */
  onException(vector: number): Outcome {
    const frame = readExceptionFrame(this.memory, vector);
    const { faultAddress } = this.registers;
    // Not exact above 2^53, where a program has no memory.
    const address = Number(faultAddress);
    this.registers.leaveException(frame);
    if (frame.fromUser && vector === PAGE_FAULT) {
      const access = frame.errorCode & PAGE_FAULT_ERROR.write
        ? PROT.write
        : frame.errorCode & PAGE_FAULT_ERROR.fetch
        ? PROT.exec
        : PROT.read;
      try {
        if (this.space.fault(address, access)) {
          if (!this.#isStuck(address)) return OUTCOME.run;
        } else if (this.space.isBeyondFile(address, access)) {
          this.kill(beyondFile(frame, faultAddress));
          return OUTCOME.stop;
        }
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        this.#outOfMemory(error);
        return OUTCOME.stop;
      }
    }
    this.kill(signalOf(vector, frame, faultAddress));
    return OUTCOME.stop;
  }

  /**
   * Whether a page goes on faulting although it is there. A stale translation
   * is dropped before it is given up.
   */
  #isStuck(address: number): boolean {
    const page = Math.floor(address / PAGE_BYTES);
    if (this.#lastFault.address !== page) {
      this.#lastFault = { address: page, count: 0 };
    }
    if (++this.#lastFault.count > 2) {
      const gpa = this.space.locate(page * PAGE_BYTES);
      if (gpa >= 0) this.memory.dropTranslations(gpa, PAGE_BYTES);
    }
    return this.#lastFault.count > MAX_EQUAL_FAULTS;
  }

  /** `in` or `out` on a port that nothing claims: as natively, not allowed. */
  onUnclaimedPort(_port: number): Outcome {
    this.kill({
      signal: SIGNAL.SIGSEGV,
      what: "general protection fault",
      address: 0n,
      rip: this.registers.rip,
    });
    return OUTCOME.stop;
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
