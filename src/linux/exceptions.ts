/**
 * What an exception of the program means: a page that it lacks, or a signal.
 *
 * @module
 */

import { OUTCOME, type Outcome, PAGE_BYTES, PROT } from "../vmm/mod.ts";
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
import type { Linux } from "./linux.ts";
import type { ExceptionFrame } from "./registers.ts";
import { BUS_ADRERR, faultOf } from "./signals/fault_codes.ts";
import { CODE } from "./signals/info.ts";
import { becomesSyscall } from "./vsyscall.ts";

/** The vector of a general protection fault. */
const GENERAL_PROTECTION = 13;

/** How often the same address may fault in a row before it is given up. */
const MAX_EQUAL_FAULTS = 16;

/** Answers the exceptions of a program. */
export class Exceptions {
  readonly #linux: Linux;
  readonly #makeCall: () => Outcome;
  #lastFault = { address: -1, count: 0 };
  /** Where the program was when a page of a file was missing. */
  #lastMissing = { rip: -1n, count: 0 };

  /**
   * @param linux whose program it is
   * @param makeCall answers a system call: the registers are as `syscall` leaves
   * them
   */
  constructor(linux: Linux, makeCall: () => Outcome) {
    this.#linux = linux;
    this.#makeCall = makeCall;
  }

  /** The program has made a system call: it goes on. */
  madeCall(): void {
    this.#lastFault.count = 0;
  }

  /** Answers an exception: a page to be populated, or the program's end. */
  onException(vector: number): Outcome {
    const frame = readExceptionFrame(this.#linux.memory, vector);
    const { faultAddress } = this.#linux.registers;
    // Not exact above 2^53, where a program has no memory.
    const address = Number(faultAddress);
    this.#linux.registers.leaveException(frame);
    if (frame.fromUser && vector === PAGE_FAULT) {
      const access = frame.errorCode & PAGE_FAULT_ERROR.write
        ? PROT.write
        : frame.errorCode & PAGE_FAULT_ERROR.fetch
        ? PROT.exec
        : PROT.read;
      try {
        if (this.#linux.space.fault(address, access)) {
          if (!this.#isStuck(address)) return OUTCOME.run;
        } else if (this.#linux.space.isBeyondFile(address, access)) {
          return this.fault(beyondFile(frame, faultAddress), frame, vector);
        } else if (becomesSyscall(this.#linux, frame)) return this.#makeCall();
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        this.#linux.outOfMemory(error);
        return OUTCOME.stop;
      }
    }
    const signaled = signalOf(vector, frame, faultAddress);
    if (frame.fromUser) return this.fault(signaled, frame, vector);
    this.#linux.kill(signaled);
    return OUTCOME.stop;
  }

  /** Has the current task take the signal of a fault, or ends the program. */
  fault(
    signaled: Signaled,
    frame?: ExceptionFrame,
    vector?: number,
  ): Outcome {
    if (!frame || vector === undefined) {
      return this.#linux.signals.force({ signaled, code: CODE.kernel });
    }
    const { faultAddress } = this.#linux.registers;
    return this.#linux.signals.force(
      faultOf(this.#linux, signaled, { vector, frame, faultAddress }),
    );
  }

  /** A shared file is shorter than what was mapped of it: SIGBUS. */
  onMissingPage(): Outcome | undefined {
    if (!this.#linux.space.areas.all.some(({ kind }) => kind === "shared")) {
      return undefined;
    }
    // Which page it was is not known: KVM says nothing of it. The access is made
    // again, and faults.
    if (this.#linux.space.outer.forgetBeyondFiles() && !this.#isRepeated()) {
      return OUTCOME.run;
    }
    const signaled = {
      signal: SIGNAL.SIGBUS,
      what: "access beyond the end of a mapped file",
      rip: this.#linux.registers.rip,
    };
    return this.#linux.signals.force({ signaled, code: BUS_ADRERR });
  }

  /** Whether pages were missing again and again at the same instruction. */
  #isRepeated(): boolean {
    const { rip } = this.#linux.registers;
    if (rip !== this.#lastMissing.rip) this.#lastMissing = { rip, count: 0 };
    return ++this.#lastMissing.count > MAX_EQUAL_FAULTS;
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
      const gpa = this.#linux.space.locate(page * PAGE_BYTES);
      if (gpa >= 0) this.#linux.memory.dropTranslations(gpa, PAGE_BYTES);
    }
    return this.#lastFault.count > MAX_EQUAL_FAULTS;
  }

  /** `in` or `out` on a port that nothing claims: as natively, not allowed. */
  onUnclaimedPort(isOver: boolean): Outcome {
    const signaled = {
      signal: SIGNAL.SIGSEGV,
      what: "general protection fault",
      address: 0n,
      rip: this.#linux.registers.rip,
    };
    if (!isOver) {
      this.#linux.kill(signaled);
      return OUTCOME.stop;
    }
    const trap = { vector: GENERAL_PROTECTION, errorCode: 0, address: 0n };
    return this.#linux.signals.force({ signaled, code: CODE.kernel, trap });
  }
}
