/**
 * The queues of those who wait at futexes, without a vCPU.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Clock, FdTable, type PendingCall } from "../../src/devices/mod.ts";
import type { KvmVcpu } from "../../src/kvm/mod.ts";
import { ANY_BITSET, Futexes, TO_OWN } from "../../src/linux/futexes.ts";
import { Process } from "../../src/linux/process.ts";
import { Scheduler } from "../../src/linux/scheduler.ts";

const ADDRESS = 0x1000;

/** A call that waits at a futex. */
function callAt(bitset: number): PendingCall {
  return {
    operation: "futex",
    number: 202,
    arguments: [0n, 0n, 0n, 0n, 0n, 0n],
    doneBytes: 0,
    deadlineNs: null,
    waitsFor: [],
    futex: { address: ADDRESS, bitset, isWoken: false },
  };
}

/** The queues, and one task that waits in one of them. */
function oneWaits(bitset: number) {
  const process = new Process(Process.initial("/a", ["a"], "/", 0));
  const task = process.current;
  const vcpu = {} as KvmVcpu; // nobody gets it here
  const scheduler = new Scheduler(vcpu, process, new FdTable(), new Clock());
  const futexes = new Futexes(scheduler);
  task.call = callAt(bitset);
  futexes.add(task);
  scheduler.block(task);
  return { futexes, scheduler, task };
}

Deno.test("futexes: who waits is woken, or owns it, once", () => {
  const one = oneWaits(ANY_BITSET);
  assertEquals(one.futexes.owned(), []);
  assertEquals(one.futexes.wake(ADDRESS, 2), 1);
  assertEquals(one.futexes.wake(ADDRESS, 2), 0);
  const { futexes, task } = oneWaits(TO_OWN);
  assertEquals(futexes.wake(ADDRESS, 2), 0);
  assertEquals(futexes.owned(), [ADDRESS]);
  assertEquals(futexes.nextOwner(ADDRESS), task);
  futexes.give(task);
  assertEquals(futexes.owned(), []);
  assertEquals(task.call?.futex?.isWoken, true);
});

Deno.test("futexes: a call that ended in another way waits at none", () => {
  for (const bitset of [ANY_BITSET, TO_OWN]) {
    for (const isOther of [false, true]) {
      const { futexes, scheduler, task } = oneWaits(bitset);
      if (isOther) task.call = { ...callAt(bitset), futex: undefined };
      else scheduler.unblock(task);
      assertEquals(futexes.owned(), []);
      assertEquals(futexes.nextOwner(ADDRESS), undefined);
      assertEquals(futexes.requeue(ADDRESS, ADDRESS, 9), 0);
      assertEquals(futexes.requeue(ADDRESS, 2 * ADDRESS, 9), 0);
      assertEquals(futexes.wake(ADDRESS, 9), 0);
    }
  }
});
