/**
 * Who waits at which futex (futex(2)).
 *
 * @module
 */

import type { Scheduler } from "./scheduler.ts";
import type { Task } from "./task.ts";

/** Any wake is for a waiter with this bitset. */
export const ANY_BITSET = 0xffff_ffff;

/** The bitset of one that waits to own the futex: no other wake is for it. */
export const TO_OWN = 0;

/** The queues of tasks that wait, by the address of their futex. */
export class Futexes {
  readonly #scheduler: Scheduler;
  readonly #queues = new Map<number, Task[]>();

  /** @param scheduler told of tasks that are woken */
  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Puts a task at the end of the queue that its call says. */
  add(task: Task): void {
    const { address } = task.call!.futex!;
    const queue = this.#queues.get(address);
    if (queue) queue.push(task);
    else this.#queues.set(address, [task]);
  }

  /** Takes a task, if it is there, out of the queue at `address`. */
  remove(task: Task, address: number): void {
    const queue = this.#queues.get(address);
    const at = queue?.indexOf(task) ?? -1;
    if (!queue || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#queues.delete(address);
  }

  /**
   * The queue at `address`; who waits there no more is taken out of it. A call
   * of an image's may end in any way, whatever it says that it waits at.
   */
  #at(address: number): Task[] | undefined {
    const queue = this.#queues.get(address);
    const waiting = queue?.filter(({ call }) =>
      call?.futex?.address === address && !call.futex.isWoken
    );
    if (!waiting || waiting.length === queue!.length) return queue;
    if (waiting.length > 0) this.#queues.set(address, waiting);
    else this.#queues.delete(address);
    return this.#queues.get(address);
  }

  /**
   * Wakes up to `count` tasks that wait at `address`.
   *
   * @returns how many
   */
  wake(address: number, count: number, bitset = ANY_BITSET): number {
    const queue = this.#at(address);
    if (!queue) return 0;
    let woken = 0;
    for (let i = 0; i < queue.length && woken < count;) {
      const task = queue[i];
      const futex = task.call!.futex!;
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
      ?.find((task) => task.call!.futex!.bitset === TO_OWN);
  }

  /** Ends a task's wait at `address`: it owns the futex. */
  give(address: number, task: Task): void {
    this.remove(task, address);
    task.call!.futex!.isWoken = true;
    this.#scheduler.wake(task);
  }

  /**
   * Has up to `count` tasks that wait at one futex wait at another.
   *
   * @returns how many
   */
  requeue(from: number, to: number, count: number): number {
    const queue = this.#at(from);
    if (!queue) return 0;
    if (from === to) return Math.min(count, queue.length);
    const moved = queue.splice(0, count);
    if (queue.length === 0) this.#queues.delete(from);
    for (const task of moved) {
      task.call!.futex!.address = to;
      this.add(task);
    }
    return moved.length;
  }
}
