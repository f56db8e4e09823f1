/**
 * Calls that wait for a change.
 *
 * @module
 */

/** Told of each change at once, with the events of poll(2) it may have made. */
export type Watcher = (events: number) => void;

/** Any of poll's events. */
export const ANY_EVENT = 0xffff;

/** Whoever waits for the next change of something, or watches every one. */
export class Waiters {
  readonly #waiters = new Set<() => void>();
  readonly #watchers = new Set<Watcher>();

  /**
   * Tells those who wait that something changed.
   *
   * @param events what may hold now; 0: nothing, but look again
   */
  wake(events = ANY_EVENT): void {
    this.wakeWaiting();
    for (const watcher of [...this.#watchers]) watcher(events);
  }

  /** Tells only those who wait, and not those who watch. */
  wakeWaiting(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** Calls `watcher` at each change, until what is returned is called. */
  watch(watcher: Watcher): () => void {
    // One of its own: the same function may watch twice.
    const own: Watcher = (events) => watcher(events);
    this.#watchers.add(own);
    return () => this.#watchers.delete(own);
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
