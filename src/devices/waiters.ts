/**
 * Calls that wait for a change.
 *
 * @module
 */

/** Whoever waits for the next change of something. */
export class Waiters {
  readonly #waiters = new Set<() => void>();

  /** Tells those who wait that something changed. */
  wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** Resolves at the next change, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiters.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", done);
      this.#waiters.add(done);
    });
  }
}
