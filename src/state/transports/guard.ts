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

/** Lets each step of an end take its time, and no longer. */
export class Guard implements Disposable {
  /** How errors call the end. */
  readonly name: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #waiting = new Set<(reason: unknown) => void>();
  #cancel: () => void = () => {};

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
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(fail);
      };
      const fail = (reason: unknown) => {
        settle();
        reject(reason);
        this.#cancel();
      };
      this.#waiting.add(fail);
      if (this.#timeoutMs > 0) {
        timer = setTimeout(() => fail(this.#late(action)), this.#timeoutMs);
      }
      step.then((value) => {
        settle();
        resolve(value);
      }, (cause) => {
        settle();
        reject(endError(this.name, action, cause));
      });
      if (this.#signal?.aborted) fail(this.#signal.reason);
    });
  }

  /** Throws the signal's reason, if it was aborted. */
  throwIfAborted(): void {
    this.#signal?.throwIfAborted();
  }

  /** Stops listening to the signal. */
  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (this.#waiting.size === 0) this.#cancel();
    for (const fail of [...this.#waiting]) fail(this.#signal?.reason);
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
