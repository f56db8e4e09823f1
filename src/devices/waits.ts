/**
 * Who waits for which descriptors, and until when.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { FdTable } from "./fd_table.ts";
import type { OpenFile } from "./open_file.ts";
import type { PendingCall } from "./pending.ts";

/** Longest timer that setTimeout takes, ms. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** One wait under way. */
interface Wait {
  readonly deadlineNs: number;
  readonly stop: AbortController | undefined;
}

/**
 * The waits of calls, each for a `Key`. A wait ends once, when its call may be
 * tried again: when one of its descriptors changed, or its time has come.
 */
export class Waits<Key> {
  readonly #fds: FdTable;
  readonly #clock: Clock;
  readonly #onReady: (key: Key) => void;
  readonly #waits = new Map<Key, Wait>();
  /** What host files still have under way, of waits that have ended too. */
  readonly #files = new Set<Promise<void>>();

  /** What a host file could not be waited for with. */
  #failure: { readonly error: unknown } | undefined;

  /** @param onReady called when a wait has ended, in any turn */
  constructor(fds: FdTable, clock: Clock, onReady: (key: Key) => void) {
    this.#fds = fds;
    this.#clock = clock;
    this.#onReady = onReady;
  }

  /** How many wait. */
  get size(): number {
    return this.#waits.size;
  }

  /** Begins to wait for what `call` waits for. */
  add(key: Key, call: PendingCall): void {
    this.remove(key);
    // Each file once, however many descriptors of it are waited for.
    const files = new Map<OpenFile, number>();
    for (const { descriptor, events } of call.waitsFor) {
      const file = this.#fds.file(descriptor);
      if (file) files.set(file, (files.get(file) ?? 0) | events);
    }
    const stop = files.size > 0 ? new AbortController() : undefined;
    const wait = { deadlineNs: call.deadlineNs ?? Infinity, stop };
    this.#waits.set(key, wait);
    for (const [file, events] of files) {
      const done: Promise<void> = file.wait(events, stop!.signal)
        .catch((error) => {
          this.#failure ??= { error };
        })
        .then(() => {
          this.#files.delete(done);
          if (this.#waits.get(key) === wait) this.#end(key);
        });
      this.#files.add(done);
    }
  }

  /** @throws what a file could not be waited for with, if one could not */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for `key` no longer. */
  remove(key: Key): void {
    const wait = this.#waits.get(key);
    if (!wait) return;
    this.#waits.delete(key);
    wait.stop?.abort();
  }

  #end(key: Key): void {
    this.remove(key);
    this.#onReady(key);
  }

  /** Ends the waits whose time has come. */
  expire(): void {
    if (this.#waits.size === 0) return;
    const now = this.#clock.monotonicNs();
    for (const [key, { deadlineNs }] of this.#waits) {
      if (deadlineNs <= now) this.#end(key);
    }
  }

  /** Milliseconds to the next time that comes, rounded up; none: Infinity. */
  leftMs(): number {
    let first = Infinity;
    for (const { deadlineNs } of this.#waits.values()) {
      first = Math.min(first, deadlineNs);
    }
    if (first === Infinity) return Infinity;
    const left = Math.ceil((first - this.#clock.monotonicNs()) / 1e6);
    return Math.min(Math.max(left, 0), MAX_TIMER_MS);
  }

  /** Ends every wait, without a word; resolves when the host's have ended. */
  async stop(): Promise<void> {
    for (const key of [...this.#waits.keys()]) this.remove(key);
    await Promise.allSettled([...this.#files]);
  }
}
