/**
 * When a program is frozen: at random system calls and at random times.
 *
 * @module
 */

import type { Tracer } from "../../mod.ts";

/** Below this a delay is mostly what starting takes. */
const SHORTEST_DELAY_MS = 20;

/** How long a program takes when nothing stops it. */
export interface Length {
  /** System calls. */
  readonly calls: number;
  /** Time in which it ran, ms. */
  readonly ms: number;
}

function sorted(count: number, make: () => number): number[] {
  return Array.from({ length: count }, make).sort((a, b) => a - b);
}

/** `count` different numbers from 1 to `end`, or all there are, in order. */
function choose(count: number, end: number, random: () => number): number[] {
  if (count >= end) return Array.from({ length: end }, (_, i) => i + 1);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(1 + Math.floor(random() * end));
  return [...chosen].sort((a, b) => a - b);
}

/** How many of `calls` calls a run makes in any case: some depend on time. */
export function sureCalls(calls: number): number {
  // The last call ends the program.
  return Math.ceil(Math.max(calls - 1, 0) * 0.9);
}

/**
 * Stops a VM at instants that were chosen before: at system calls, and in a
 * program that takes long at times as well, since it may make few calls.
 */
export class Instants {
  readonly #calls: number[];
  readonly #delays: number[] = [];
  #call = 0;
  #ranMs = 0;
  #stop: (() => void) | undefined;

  /** @param count how many instants of each sort */
  constructor(count: number, length: Length, random: () => number) {
    this.#calls = choose(count, sureCalls(length.calls), random);
    if (length.ms >= count * SHORTEST_DELAY_MS) {
      this.#delays = sorted(count, () => random() * length.ms);
    }
  }

  /** Counts the program's calls, and stops it at those that were chosen. */
  readonly tracer: Tracer = {
    syscall: () => {
      this.#call++;
      if (this.#call >= this.#calls[0]) this.#stop?.();
    },
  };

  /**
   * Runs a VM to the next instant, or to the end of the program.
   *
   * @param run runs the VM; it may make calls before it returns
   * @param pause stops the VM
   */
  async next(run: () => Promise<unknown>, pause: () => void): Promise<void> {
    const due = Promise.withResolvers<void>();
    const stop = this.#stop = () => {
      this.#stop = undefined;
      pause();
      due.resolve();
    };
    const began = performance.now();
    const delay = this.#delays[0];
    const timer = delay === undefined
      ? undefined
      : setTimeout(stop, Math.max(delay - this.#ranMs, 0));
    try {
      await Promise.race([due.promise, run()]);
    } finally {
      clearTimeout(timer);
      this.#stop = undefined;
      this.#ranMs += performance.now() - began;
      while (this.#calls[0] <= this.#call) this.#calls.shift();
      while (this.#delays[0] <= this.#ranMs) this.#delays.shift();
    }
  }

  /** Whether there are any left. */
  get hasMore(): boolean {
    return this.#calls.length > 0 || this.#delays.length > 0;
  }
}
