/**
 * The calls on an open file of a device that its handlers have not answered
 * yet, and the answers that the program has not taken.
 *
 * @module
 */

import type { CallAnswer } from "./device_answers.ts";
import type { Operation, PluginFileState } from "./plugin_file_state.ts";

/** What a call is, so that one made again is known. */
export interface Call {
  /** Which handler it is for. */
  readonly operation: Operation;
  /** The task whose call it is; 0: whoever makes it. */
  readonly caller: number;
  /** Of an ioctl: its number. */
  readonly request: number;
  /** Where it reads or writes, if the file has an offset. */
  readonly offset: number | null;
  /** What the program passed. */
  readonly argument: Uint8Array;
}

/** The caller of a call whose answer is for whoever makes it. */
const ANYBODY = 0;

/** The caller of a call whose answer is for nobody. */
const NOBODY = -1;

/** A call that is under way, or was answered and not taken. */
interface HeldCall extends Call {
  caller: number;
  answer?: CallAnswer;
  /** How much of what the device may keep it takes. */
  heldBytes: number;
}

/** How much may be kept for calls. */
export interface CallBudget {
  /** Whether so many bytes may be kept for a call; the user is told if not. */
  mayHold(lengthBytes: number): boolean;
  /** So many bytes more are kept, or fewer. */
  held(lengthBytes: number): void;
}

/** What of the calls travels. */
type Saved = Pick<PluginFileState, "answers" | "underWay">;

/**
 * The calls on one open file, at most one of each kind for each task, and what
 * is for whoever asks first: no more, as nobody calls a handler as long as there
 * is any.
 */
export class HeldCalls {
  readonly #budget: CallBudget;
  /** What is for anybody in the order in which it is to be taken. */
  readonly #calls: HeldCall[] = [];
  /** Handlers that were called before the save, and not since. */
  readonly #again: Set<Operation>;

  /** @param saved what an image says of them */
  constructor(budget: CallBudget, saved?: Saved) {
    this.#budget = budget;
    this.#again = new Set(saved?.underWay);
    for (const { result, bytes, ...call } of saved?.answers ?? []) {
      // That may be more than a device keeps: it was kept before.
      this.#hold(call, 0, { result, bytes });
    }
  }

  /** What travels. */
  snapshot(): Saved {
    const answers: PluginFileState["answers"] = [];
    const underWay: Operation[] = [...this.#again];
    for (const { answer, heldBytes: _, ...call } of this.#calls) {
      if (answer) answers.push({ ...call, ...answer });
      else underWay.push(call.operation);
    }
    return { answers, underWay };
  }

  /**
   * Takes what the same call was answered before.
   *
   * @returns the answer; "under way": the handler has still to answer another
   * call; `undefined`: it is to be called
   */
  take(call: Call): CallAnswer | "under way" | undefined {
    const { operation, caller } = call;
    const own = this.#calls.find((one) =>
      one.operation === operation && one.caller === caller
    );
    // What nobody has for his own is for whoever asks first.
    const isSettled = own && (own.answer || operation !== "read");
    const before = isSettled ? own : this.#anybodys(operation) ?? own;
    if (!before?.answer) {
      // A handler is called again once it has answered, whoever asked.
      return this.isUnderWay(operation) ? "under way" : undefined;
    }
    this.#drop(before);
    // One that was given up (it was not to wait) is no answer to another.
    if (!isSame(before, call)) return this.take(call);
    // Another's answer was enough: its own is for whoever asks next.
    if (own && own !== before) own.caller = ANYBODY;
    return before.answer;
  }

  /** The first answer to such a call that is for anybody. */
  #anybodys(operation: Operation): HeldCall | undefined {
    return this.#calls.find((one) =>
      one.operation === operation && one.caller === ANYBODY && one.answer
    );
  }

  /**
   * A task's call was interrupted, or the task has ended. What a stream gave it
   * is for whoever reads next; what else it asked for concerns nobody but the
   * task, if it asks again.
   *
   * @returns whether there is something now for another
   */
  giveUp(caller: number, hasEnded: boolean): boolean {
    let isForOthers = false;
    for (const call of this.#calls.filter((one) => one.caller === caller)) {
      if (call.operation === "read" && call.offset === null) {
        call.caller = ANYBODY;
        isForOthers = true;
      } else if (hasEnded && call.answer) this.#drop(call);
      else if (hasEnded) call.caller = NOBODY;
    }
    return isForOthers;
  }

  /** Whether a call of this kind was under way at the save; told once. */
  takeAgain(operation: Operation): boolean {
    return this.#again.delete(operation);
  }

  /**
   * Keeps a call that is under way, and then its answer.
   *
   * @param mostBytes how much the answer may hold
   * @param answer never rejects
   * @param changed called when the answer is there, if it still matters
   */
  keep(
    call: Call,
    mostBytes: number,
    answer: Promise<CallAnswer>,
    changed: () => void,
  ): void {
    const own = this.#hold(call, mostBytes);
    answer.then((value) => {
      // Of a file that was closed nobody takes it.
      if (!this.#calls.includes(own)) return;
      if (own.caller === NOBODY) {
        this.#drop(own);
        return changed();
      }
      own.answer = value;
      const spare = mostBytes - value.bytes.length;
      own.heldBytes -= spare;
      this.#budget.held(-spare);
      changed();
    });
  }

  /** Keeps what of an answer a call had no room for, for whoever asks next. */
  keepRest(call: Call, rest: Uint8Array): void {
    const answer = { result: 0, bytes: rest };
    this.#calls.unshift(this.#held({ ...call, caller: ANYBODY }, 0, answer));
  }

  /** Whether a handler was called that has not answered. */
  isUnderWay(operation: Operation): boolean {
    for (const call of this.#calls) {
      if (call.operation === operation && !call.answer) return true;
    }
    return false;
  }

  /** Whether what a read gave was not taken. */
  get hasReadAnswer(): boolean {
    for (const { operation, answer } of this.#calls) {
      if (operation === "read" && answer) return true;
    }
    return false;
  }

  /** Keeps none any longer. */
  clear(): void {
    for (const call of [...this.#calls]) this.#drop(call);
  }

  /** Keeps a call behind the others, with its answer or room for one. */
  #hold(call: Call, mostBytes: number, answer?: CallAnswer): HeldCall {
    const own = this.#held(call, mostBytes, answer);
    this.#calls.push(own);
    return own;
  }

  /** A call that is to be kept: it takes of what may be. */
  #held(call: Call, mostBytes: number, answer?: CallAnswer): HeldCall {
    const heldBytes = call.argument.length +
      (answer?.bytes.length ?? mostBytes);
    this.#budget.held(heldBytes);
    return { ...call, answer, heldBytes };
  }

  /** Keeps a call no longer. */
  #drop(call: HeldCall): void {
    this.#budget.held(-call.heldBytes);
    this.#calls.splice(this.#calls.indexOf(call), 1);
  }
}

/** Whether a call is the one that was made before. */
function isSame(before: Call, call: Call): boolean {
  return before.request === call.request && before.offset === call.offset &&
    before.argument.length === call.argument.length &&
    before.argument.every((byte, i) => byte === call.argument[i]);
}
