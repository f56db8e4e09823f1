/**
 * Who waits at which futex (futex(2)).
 *
 * @module
 */

import type { FutexWait, PendingCall } from "../devices/mod.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Task } from "./task.ts";

/** Any wake is for a waiter with this bitset. */
export const ANY_BITSET = 0xffff_ffff;

/** The bitset of one that waits to own the futex: no other wake is for it. */
export const TO_OWN = 0;

/** A task's wait at one futex. */
interface Waiter {
  readonly task: Task;
  /** That of its call: it says at which address. */
  readonly futex: FutexWait;
}

/** The futexes that a call waits at. */
function waitsOf({ futex, futexes }: PendingCall): FutexWait[] {
  return futex ? [futex] : futexes ?? [];
}

/** The queues of those that wait, by the address of their futex. */
export class Futexes {
  readonly #scheduler: Scheduler;
  readonly #queues = new Map<number, Waiter[]>();

  /** @param scheduler told of tasks that are woken */
  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Puts a task at the end of the queues that its call says. */
  add(task: Task): void {
    for (const futex of waitsOf(task.call!)) {
      // One that was woken is in no queue any more.
      if (!futex.isWoken) this.#push({ task, futex });
    }
  }

  #push(waiter: Waiter): void {
    const { address } = waiter.futex;
    const queue = this.#queues.get(address);
    if (queue) queue.push(waiter);
    else this.#queues.set(address, [waiter]);
  }

  /** Takes a call out of the queues that it is in. */
  remove(call: PendingCall): void {
    for (const futex of waitsOf(call)) {
      if (futex.isWoken) continue;
      const queue = this.#queues.get(futex.address);
      const at = queue?.findIndex((waiter) => waiter.futex === futex) ?? -1;
      if (!queue || at < 0) continue;
      queue.splice(at, 1);
      if (queue.length === 0) this.#queues.delete(futex.address);
    }
  }

  /**
   * The queue at `address`; who waits there no more is taken out of it. A call
   * of an image's may end in any way, whatever it says that it waits at.
   */
  #at(address: number): Waiter[] | undefined {
    const queue = this.#queues.get(address);
    const waiting = queue?.filter(({ task, futex }) =>
      task.call !== null && waitsOf(task.call).includes(futex) &&
      futex.address === address && !futex.isWoken
    );
    if (!waiting || waiting.length === queue!.length) return queue;
    if (waiting.length > 0) this.#queues.set(address, waiting);
    else this.#queues.delete(address);
    return this.#queues.get(address);
  }

  /**
   * Wakes up to `count` that wait at `address`.
   *
   * @returns how many
   */
  wake(address: number, count: number, bitset = ANY_BITSET): number {
    const queue = this.#at(address);
    if (!queue) return 0;
    let woken = 0;
    for (let i = 0; i < queue.length && woken < count;) {
      const { task, futex } = queue[i];
      if ((futex.bitset & bitset) === 0) {
        i++;
        continue;
      }
      queue.splice(i, 1);
      futex.isWoken = true;
      this.#scheduler.wake(task);
      woken++;
    }
    if (queue.length === 0) this.#queues.delete(address);
    return woken;
  }

  /** Addresses of the futexes that somebody waits for to own them. */
  owned(): number[] {
    return [...this.#queues.keys()]
      .filter((address) => this.nextOwner(address) !== undefined);
  }

  /** The first task that waits at `address` to own it. */
  nextOwner(address: number): Task | undefined {
    return this.#at(address)
      ?.find(({ futex }) => futex.bitset === TO_OWN)?.task;
  }

  /** Ends the wait of a task that waits for one futex alone: it owns it. */
  give(task: Task): void {
    const call = task.call!;
    this.remove(call);
    call.futex!.isWoken = true;
    this.#scheduler.wake(task);
  }

  /**
   * Has up to `count` that wait at one futex wait at another.
   *
   * @returns how many
   */
  requeue(from: number, to: number, count: number): number {
    const queue = this.#at(from);
    if (!queue) return 0;
    if (from === to) return Math.min(count, queue.length);
    const moved = queue.splice(0, count);
    if (queue.length === 0) this.#queues.delete(from);
    for (const waiter of moved) {
      waiter.futex.address = to;
      this.#push(waiter);
    }
    return moved.length;
  }
}
