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

/** A call that is under way, or was answered and not taken. */
interface HeldCall extends Call {
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

/** The calls on one open file: at most one of each kind for each task. */
export class HeldCalls {
  readonly #budget: CallBudget;
  /** By operation and caller, see {@linkcode keyOf}. */
  readonly #calls = new Map<string, HeldCall>();
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
    for (const { answer, heldBytes: _, ...call } of this.#calls.values()) {
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
    // What nobody has for his own is for whoever asks first.
    const before = this.#calls.get(keyOf(call)) ??
      this.#calls.get(keyOf({ ...call, caller: 0 }));
    // A handler is called again once it has answered, whoever asked.
    if (!before?.answer && this.isUnderWay(call.operation)) return "under way";
    if (before?.answer) {
      this.#drop(keyOf(before));
      // One that was given up (it was not to wait) is no answer to another.
      if (isSame(before, call)) return before.answer;
    }
    return undefined;
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
    const key = keyOf(call);
    const own = this.#hold(call, mostBytes);
    answer.then((value) => {
      // Of a file that was closed nobody takes it.
      if (this.#calls.get(key) !== own) return;
      own.answer = value;
      const spare = mostBytes - value.bytes.length;
      own.heldBytes -= spare;
      this.#budget.held(-spare);
      changed();
    });
  }

  /** Keeps what of an answer a call had no room for, for whoever asks next. */
  keepRest(call: Call, rest: Uint8Array): void {
    this.#hold({ ...call, caller: 0 }, 0, { result: 0, bytes: rest });
  }

  /** Whether a handler was called that has not answered. */
  isUnderWay(operation: Operation): boolean {
    for (const call of this.#calls.values()) {
      if (call.operation === operation && !call.answer) return true;
    }
    return false;
  }

  /** Whether what a read gave was not taken. */
  get hasReadAnswer(): boolean {
    for (const { operation, answer } of this.#calls.values()) {
      if (operation === "read" && answer) return true;
    }
    return false;
  }

  /** Keeps none any longer. */
  clear(): void {
    for (const key of [...this.#calls.keys()]) this.#drop(key);
  }

  /** Keeps a call, with its answer or room for one. */
  #hold(call: Call, mostBytes: number, answer?: CallAnswer): HeldCall {
    const heldBytes = call.argument.length +
      (answer?.bytes.length ?? mostBytes);
    const own: HeldCall = { ...call, answer, heldBytes };
    this.#calls.set(keyOf(call), own);
    this.#budget.held(heldBytes);
    return own;
  }

  /** Keeps a call no longer. */
  #drop(key: string): void {
    this.#budget.held(-(this.#calls.get(key)?.heldBytes ?? 0));
    this.#calls.delete(key);
  }
}

/** What a call is kept by: one of each kind for each task. */
function keyOf({ operation, caller }: Call): string {
  return `${operation} ${caller}`;
}

/** Whether a call is the one that was made before. */
function isSame(before: Call, call: Call): boolean {
  return before.request === call.request && before.offset === call.offset &&
    before.argument.length === call.argument.length &&
    before.argument.every((byte, i) => byte === call.argument[i]);
}
