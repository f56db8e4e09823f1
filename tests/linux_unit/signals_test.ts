/**
 * Signals that wait: their order, and how they travel.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { AddressSpace } from "../../src/linux/address_space.ts";
import { PAGE_FAULT, signalOf } from "../../src/linux/faults.ts";
import { MAX_TASKS, Process, processState } from "../../src/linux/process.ts";
import { faultOf } from "../../src/linux/signals/fault_codes.ts";
import {
  CODE,
  INFO,
  sentBy,
  viewOfInfo,
} from "../../src/linux/signals/info.ts";
import {
  discard,
  enqueue,
  nextOf,
  pendingSet,
  type SignalQueue,
} from "../../src/linux/signals/queue.ts";
import { bitOf, setOf } from "../../src/linux/signals/sets.ts";
import { MAX_QUEUED, MAX_TIMERS } from "../../src/linux/signals/state.ts";
import { Task } from "../../src/linux/task.ts";
import { TaskRegisters } from "../../src/linux/task_registers.ts";
import { decodeState, ImageError, toSection } from "../../src/state/mod.ts";
import { Memory, writeBootPages } from "../../src/vmm/mod.ts";

const ALL = 0xffff_ffff_ffff_ffffn;

/** One that says `value` where it says who sent it. */
function one(signal: number, value = 0) {
  return sentBy(signal, CODE.user, value, 0);
}

/** Takes all, and gives each with its value. */
function drain(queue: SignalQueue, set = ALL): [number, number][] {
  const taken: [number, number][] = [];
  for (let at; (at = nextOf(queue, set)) >= 0;) {
    const [next] = queue.splice(at, 1);
    taken.push([next.signal, viewOfInfo(next).getInt32(INFO.pid, true)]);
  }
  return taken;
}

Deno.test("signals: faults come first, then lower numbers, then older ones", () => {
  const queue: SignalQueue = [];
  for (const [signal, value] of [[40, 1], [35, 2], [40, 3], [2, 4], [11, 5]]) {
    enqueue(queue, one(signal, value), [queue]);
  }
  assertEquals(pendingSet(queue), setOf([40, 35, 2, 11]));
  assertEquals(drain(queue, ~bitOf(2)), [[11, 5], [35, 2], [40, 1], [40, 3]]);
  assertEquals(drain(queue), [[2, 4]]);
});

Deno.test("signals: one that does not queue waits once, as it was sent first", () => {
  const queue: SignalQueue = [];
  for (const value of [1, 2, 3]) enqueue(queue, one(10, value), [queue]);
  assertEquals(drain(queue), [[10, 1]]);
});

Deno.test("signals: no more wait than there is room for, in all queues together", () => {
  const queue: SignalQueue = [];
  const other: SignalQueue = [];
  const all = [queue, other];
  const queued = sentBy(40, CODE.queue, 0, 0);
  while (enqueue(other.length < 100 ? other : queue, queued, all));
  const full = queue.length;
  assertEquals(enqueue(queue, sentBy(41, CODE.tkill, 0, 0), all), false);
  assertEquals(enqueue([], queued, all), false);
  // Those that do not queue wait all the same, as do kill's: once.
  for (let i = 0; i < 2; i++) {
    for (let signal = 1; signal <= 64; signal++) {
      assertEquals(enqueue(queue, one(signal), all), true);
    }
  }
  assertEquals(queue.length, full + 63); // 40 was there
  assert(queue.length + other.length <= MAX_QUEUED);
  discard(other, bitOf(40));
  assertEquals(other, []);
  assertEquals(enqueue(other, queued, all), true);
  discard(queue, ~0n);
  assertEquals(queue, []);
});

Deno.test("signals: a queue of an image's is never more than full", () => {
  const queue: SignalQueue = Array(MAX_QUEUED).fill(one(40));
  assertEquals(enqueue(queue, one(41), [queue]), false);
  assertEquals(enqueue(queue, one(2), [queue]), false);
  assertEquals(queue.length, MAX_QUEUED);
});

Deno.test("signals: a process with all threads, signals and timers that it may have is saved", () => {
  const state = Process.initial("/bin/true", ["x".repeat(2 ** 21)], "/", 0);
  const process = new Process(state);
  const standard = Array.from({ length: 31 }, (_, i) => one(i + 1));
  for (let i = 1; i < MAX_TASKS; i++) {
    const tid = process.allocateTid();
    const task = new Task(Task.initial(tid, "x".repeat(15)));
    // As much as KVM has of a CPU where it is not asked for more.
    task.registers = TaskRegisters.first(4096, 0x40_0000, 0x7000_0000);
    process.tasks.set(tid, task);
    task.state.signals.push(...standard);
  }
  assertEquals(process.allocateTid(), -1);
  const { signals, timers } = process.state;
  signals.push(...new Array(MAX_QUEUED - 31).fill(one(64)), ...standard);
  for (let id = 0; id < MAX_TIMERS; id++) {
    timers.push({ ...TIMER, id, value: ALL });
  }
  const dump = process.dump();
  assert(dump.answer === "payload");
  const section = toSection(process, dump.value);
  assert(section.payload.length < 14 * 1024 ** 2, `${section.payload.length}`);
  const again = new Process(decodeState(processState, section)).dump();
  assertEquals(again.answer, "payload");
  assert(again.answer === "payload");
  const bytes = toSection(process, again.value).payload;
  assertEquals(Buffer.compare(bytes, section.payload), 0);
});

const TIMER = {
  id: 1,
  clock: 1,
  cpuTid: 0,
  notify: 0,
  signal: 14,
  tid: 0,
  value: 0n,
  nextNs: null,
  intervalNs: 0,
  missed: 0,
  overrun: 0,
};

/** A process's state, and a section of it. */
function saved(changes: Record<string, unknown>, version = 4) {
  const state = Process.initial("/bin/true", [], "/", 0o22);
  const value = { ...state, ...changes };
  return toSection({ id: "process", kind: "process", version }, {
    ...value,
    tasks: [{ ...state.tasks[0], registers: null, ...changes.task as object }],
  });
}

Deno.test("process: version 2's sets of signals become signals that wait", () => {
  const old = saved({
    signalsPending: setOf([1, 64]),
    task: { signalsPending: setOf([10]) },
  }, 2);
  const { signals, tasks, timers } = decodeState(processState, old);
  assertEquals(signals.map(({ signal }) => signal), [1, 64]);
  assertEquals(tasks[0].signals.map(({ signal }) => signal), [10]);
  assertEquals(tasks[0].savedMask, null);
  assertEquals(timers, []);
});

Deno.test("process: version 3's timers are not of CPU time, and it is not stopped", () => {
  const timer = {
    id: 1,
    clock: 1,
    notify: 0,
    signal: 14,
    tid: 0,
    value: 0n,
    nextNs: 5,
    intervalNs: 0,
    missed: 0,
    overrun: 0,
  };
  const old = saved({ timers: [timer], stopSignal: undefined }, 3);
  const { timers, stopSignal } = decodeState(processState, old);
  assertEquals(timers, [{ ...timer, cpuTid: 0 }]);
  assertEquals(stopSignal, null);
});

Deno.test("process: signals and timers that make no sense are refused", () => {
  const info = new Uint8Array(128);
  const timer = TIMER;
  const good = { signals: [{ signal: 10, info }], timers: [timer] };
  assertEquals(decodeState(processState, saved(good)).timers, [timer]);
  for (
    const wrong of [
      { signals: [{ signal: 65, info }] },
      { signals: [{ signal: 10, info: new Uint8Array(127) }] },
      { signals: new Array(MAX_QUEUED + 1).fill({ signal: 40, info }) },
      { timers: [timer, timer] },
      { timers: [{ ...timer, notify: 3 }] },
      { timers: [{ ...timer, clock: 4 }] },
      { timers: [{ ...timer, nextNs: -1 }] },
      { stopSignal: 0 },
      { intervalTimers: [{ which: 3, nextNs: 0, intervalNs: 0 }] },
    ]
  ) assertThrows(() => decodeState(processState, saved(wrong)), ImageError);
});

Deno.test("signals: a jump into the kernel's half has the error code that Linux gives, whatever KVM says", () => {
  using memory = new Memory(4 * 1024 * 1024);
  writeBootPages(memory);
  const space = new AddressSpace(memory);
  const faultAddress = 0xffff_8000_0000_3000n;
  // Present or not, and with the bit of reserved ones: user, fetch.
  for (const errorCode of [0x14, 0x15, 0x1d]) {
    const frame = {
      errorCode,
      rip: faultAddress,
      fromUser: true,
      rflags: 0x202,
      rsp: 0n,
    };
    const signaled = signalOf(PAGE_FAULT, frame, faultAddress);
    // Only floating-point exceptions ask the vCPU.
    const vcpu = undefined as never;
    const exception = { vector: PAGE_FAULT, frame, faultAddress };
    const { trap, code } = faultOf({ vcpu, space }, signaled, exception);
    assertEquals(trap, {
      vector: PAGE_FAULT,
      errorCode: 0x15,
      address: faultAddress,
    });
    assertEquals(code, 1); // SEGV_MAPERR
  }
});
