/**
 * Many waits for one descriptor of the host, by few polls.
 *
 * A poll takes one of the few threads that there are for such calls, and a
 * descriptor: a program with many threads that wait for the same must not take
 * as many.
 *
 * @module
 */

import { pollUntil } from "./host_poller.ts";

/** A poll under way, and how many wait for it. */
interface Poll {
  waiting: number;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** The polls of one descriptor, one for each set of events. */
export class SharedPolls {
  readonly #fd: number;
  readonly #polls = new Map<number, Poll>();

  /** @param fd a descriptor of the host's */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Resolves when one of `events` holds, or when `signal` aborts. */
  async wait(events: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const poll = this.#polls.get(events) ?? this.#begin(events);
    poll.waiting++;
    const { promise, resolve } = Promise.withResolvers<void>();
    const leave = () => resolve();
    signal.addEventListener("abort", leave);
    try {
      await Promise.race([poll.done, promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      if (--poll.waiting === 0) {
        if (this.#polls.get(events) === poll) this.#polls.delete(events);
        poll.stop.abort();
        // Whoever stops all waits relies on nothing being under way then.
        await poll.done;
      }
    }
  }

  #begin(events: number): Poll {
    const stop = new AbortController();
    const done = pollUntil(this.#fd, events, stop.signal).finally(() => {
      if (this.#polls.get(events) === poll) this.#polls.delete(events);
    });
    const poll: Poll = { waiting: 0, stop, done };
    this.#polls.set(events, poll);
    return poll;
  }
}
