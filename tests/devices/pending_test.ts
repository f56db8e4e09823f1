import { assert, assertEquals } from "@std/assert";
import {
  Clock,
  FdTable,
  O,
  type PendingCall,
  PendingIo,
  pendingState,
  PipeBuffer,
  PipeEnd,
  POLL,
} from "../../src/devices/mod.ts";
import { decodeState, toSection } from "../../src/state/mod.ts";
import { delay } from "../support.ts";

const CALL: PendingCall = {
  operation: "poll",
  number: 7,
  arguments: [0x7fff_ffff_ffffn, 1n, 0xffff_ffff_ffff_ffffn, 0n, 0n, 0n],
  doneBytes: 0,
  deadlineNs: null,
  waitsFor: [],
};

/** Whether `promise` settles in a few turns of the event loop. */
async function settles(promise: Promise<void>): Promise<boolean> {
  let done = false;
  promise.then(() => done = true);
  for (let i = 0; i < 5 && !done; i++) await delay(1);
  return done;
}

/** Through CBOR and the schema, as in an image. */
function travel(pending: PendingIo): PendingIo {
  const dump = pending.dump();
  assert(dump.answer === "payload");
  return new PendingIo(
    decodeState(pendingState, toSection(pending, dump.value)),
  );
}

Deno.test("pending: a waiting call travels as it is, and so does that there is none", () => {
  assertEquals(travel(new PendingIo()).call, null);
  const call: PendingCall = {
    ...CALL,
    doneBytes: 70_000,
    deadlineNs: 123_456_789,
    waitsFor: [{ descriptor: 3, events: 1 }, { descriptor: 9, events: 4 }],
  };
  assertEquals(travel(new PendingIo({ call })).call, call);
});

Deno.test("pending: nothing to wait for is no wait", async () => {
  const { signal } = new AbortController();
  await new PendingIo().wait(new FdTable(), new Clock(), signal);
  const aborted = AbortSignal.abort();
  await new PendingIo({ call: CALL }).wait(new FdTable(), new Clock(), aborted);
});

Deno.test("pending: a wait without a deadline ends when its signal aborts", async () => {
  const stop = new AbortController();
  const pending = new PendingIo({ call: CALL });
  const wait = pending.wait(new FdTable(), new Clock(), stop.signal);
  assert(!await settles(wait));
  stop.abort();
  await wait;
});

Deno.test("pending: the time that is left counts, not the time while it was frozen", async () => {
  const clock = new Clock();
  const call = { ...CALL, deadlineNs: clock.deadlineNs(0, 60_000_000) };
  clock.stop();
  const left = call.deadlineNs - clock.monotonicNs();
  const dump = clock.dump();
  assert(dump.answer === "payload");
  // Frozen for longer than was left.
  await delay(80);
  const thawed = new Clock(dump.value as { monotonicNs: number });
  thawed.start();
  const { signal } = new AbortController();
  await travel(new PendingIo({ call })).wait(new FdTable(), thawed, signal);
  // A timer may be early by a part of a millisecond; then the call, tried
  // again, waits again. What must not be is that it ended at once.
  const waited = thawed.monotonicNs() - (call.deadlineNs - left);
  assert(waited > left - 2_000_000, `waited ${waited} of ${left} ns`);
});

Deno.test("pending: a deadline that has passed, or is too far for a timer, is none to fail at", async () => {
  const clock = new Clock();
  const { signal } = new AbortController();
  const past = new PendingIo({ call: { ...CALL, deadlineNs: -5 } });
  await past.wait(new FdTable(), clock, signal);
  const stop = new AbortController();
  const call = { ...CALL, deadlineNs: Number.MAX_SAFE_INTEGER };
  const far = new PendingIo({ call }).wait(new FdTable(), clock, stop.signal);
  assert(!await settles(far));
  stop.abort();
  await far;
});

Deno.test("pending: a descriptor that becomes ready ends the wait, another does not", async () => {
  const fds = new FdTable();
  const pipes = [new PipeBuffer(1), new PipeBuffer(2)];
  for (const pipe of pipes) fds.install(new PipeEnd(pipe, O.readOnly), false);
  const call = { ...CALL, waitsFor: [{ descriptor: 1, events: POLL.in }] };
  const { signal } = new AbortController();
  const wait = new PendingIo({ call }).wait(fds, new Clock(), signal);
  pipes[0].wake();
  assert(!await settles(wait));
  pipes[1].wake();
  await wait;
});

Deno.test("pending: a wait for a descriptor that is not open can be ended all the same", async () => {
  const stop = new AbortController();
  const clock = new Clock();
  const call = {
    ...CALL,
    deadlineNs: clock.deadlineNs(1000, 0),
    waitsFor: [{ descriptor: 500, events: POLL.in }],
  };
  const wait = new PendingIo({ call }).wait(new FdTable(), clock, stop.signal);
  assert(!await settles(wait));
  stop.abort();
  assert(await settles(wait));
});
