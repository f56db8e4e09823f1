/**
 * What every step of an end is held to: its time, and the user's signal.
 *
 * @module
 */

import { type Action, endError, TransportError } from "./errors.ts";
import type { EndOptions } from "./image_end.ts";

/** For how long a step may take when nobody says. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** The longest that `setTimeout` can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** A step under way. */
interface Waiting {
  /** What it does, for errors. */
  readonly action: Action;
  /** When it began, as `performance.now` says. */
  readonly since: number;
  /** Ends the wait for it. */
  readonly fail: (reason: unknown) => void;
}

/** Lets each step of an end take its time, and no longer. */
export class Guard implements Disposable {
  /** How errors call the end. */
  readonly name: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  /** The steps under way, the first begun first. */
  readonly #waiting = new Set<Waiting>();
  /** Runs out when the first of them may be late; one for many steps. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #cancel: () => void = () => {};
  #isDisposed = false;

  /**
   * Makes a guard.
   *
   * @param name how errors call the end
   * @param options `signal` and `timeoutMs`
   */
  constructor(name: string, options: EndOptions) {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    if (!(timeoutMs >= 0)) throw new RangeError("timeoutMs must be 0 or more");
    this.name = name;
    this.#timeoutMs = Math.min(timeoutMs, MAX_TIMEOUT_MS);
    this.#signal = signal;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", this.#onAbort);
  }

  /** What ends the steps under way, such as closing the socket. */
  onCancel(cancel: () => void): void {
    this.#cancel = cancel;
  }

  /**
   * Waits for a step.
   *
   * @param action what it does, for errors
   * @param step what is under way
   * @throws {TransportError} END_TIMEOUT, or what `step` failed with; the
   * signal's reason. The end was cancelled then, but for a failure of `step`
   */
  wait<T>(action: Action, step: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        action,
        since: performance.now(),
        fail: (reason) => {
          this.#settled(waiting);
          reject(reason);
          this.#cancel();
        },
      };
      this.#waiting.add(waiting);
      if (this.#timeoutMs > 0) this.#timer ??= this.#wake(this.#timeoutMs);
      step.then((value) => {
        this.#settled(waiting);
        resolve(value);
      }, (cause) => {
        this.#settled(waiting);
        reject(endError(this.name, action, cause));
      });
      if (this.#signal?.aborted) waiting.fail(this.#signal.reason);
    });
  }

  #settled(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    if (this.#isDisposed) this.#rest();
  }

  /** Stops looking at the time, unless there are steps under way. */
  #rest(): void {
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Looks for steps that are late, in `afterMs`. */
  #wake(afterMs: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      for (const { action, since, fail } of [...this.#waiting]) {
        const leftMs = this.#timeoutMs - (now - since);
        // A timer can be a little early.
        if (leftMs < 1) fail(this.#late(action));
        else this.#timer ??= this.#wake(leftMs);
      }
    }, afterMs);
  }

  /** Throws the signal's reason, if it was aborted. */
  throwIfAborted(): void {
    this.#signal?.throwIfAborted();
  }

  /** Stops listening to the signal, and looking at the time. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#rest();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (this.#waiting.size === 0) this.#cancel();
    for (const { fail } of [...this.#waiting]) fail(this.#signal?.reason);
  };

  #late(action: Action): TransportError {
    const { name } = this;
    return new TransportError(
      "END_TIMEOUT",
      `Cannot ${action} ${name}: nothing came of it for ${
        this.#timeoutMs / 1000
      } s`,
      { end: name, hint: "a larger timeoutMs gives the other side more time" },
    );
  }
}
