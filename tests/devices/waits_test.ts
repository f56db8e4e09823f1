import { assert, assertEquals } from "@std/assert";
import {
  Clock,
  FdTable,
  O,
  type PendingCall,
  pendingState,
  PipeBuffer,
  PipeEnd,
  POLL,
  Waits,
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

/** Waits, and the names of those that ended. */
function waits(fds = new FdTable(), clock = new Clock()) {
  const ended: string[] = [];
  return {
    ended,
    waits: new Waits<string>(fds, clock, (key) => ended.push(key)),
  };
}

/** A few turns of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await delay(1);
}

Deno.test("pending: calls of version 1 become those of the first task", () => {
  const old = { id: "pending-io", kind: "pending-io", version: 1 };
  const read = (state: unknown) =>
    decodeState(pendingState, toSection(old, state));
  assertEquals(read({ call: null }), { calls: [] });
  assertEquals(read({ call: CALL }), { calls: [{ task: 0, call: CALL }] });
});

Deno.test("waits: a wait without a deadline ends only when it is stopped", async () => {
  const { ended, waits: all } = waits();
  all.add("a", CALL);
  await turns();
  all.expire();
  assertEquals(all.leftMs(), Infinity);
  assertEquals([ended, all.size], [[], 1]);
  await all.stop();
  assertEquals([ended, all.size], [[], 0]);
});

Deno.test("waits: a deadline ends its own wait when it has come", async () => {
  const clock = new Clock();
  const { ended, waits: all } = waits(new FdTable(), clock);
  all.add("past", { ...CALL, deadlineNs: -5 });
  all.add("soon", { ...CALL, deadlineNs: clock.deadlineNs(0, 20_000_000) });
  all.add("never", { ...CALL, deadlineNs: Number.MAX_SAFE_INTEGER });
  assertEquals(all.leftMs(), 0);
  all.expire();
  assertEquals(ended, ["past"]);
  while (!ended.includes("soon")) {
    await delay(1);
    all.expire();
  }
  assertEquals(ended, ["past", "soon"]);
  assert(all.leftMs() > 1e6 && all.leftMs() < 2 ** 31);
  await all.stop();
});

Deno.test("waits: the time that is left counts, not the time while it was frozen", async () => {
  const clock = new Clock();
  const call = { ...CALL, deadlineNs: clock.deadlineNs(0, 60_000_000) };
  clock.stop();
  const left = call.deadlineNs - clock.monotonicNs();
  const dump = clock.dump();
  assert(dump.answer === "payload");
  // Frozen for longer than was left.
  await delay(80);
  const thawed = new Clock(dump.value as { monotonicNs: number });
  const { ended, waits: all } = waits(new FdTable(), thawed);
  all.add("a", call);
  all.expire();
  assertEquals([ended, all.leftMs()], [[], Math.ceil(left / 1e6)]);
  await all.stop();
});

Deno.test("waits: a descriptor that becomes ready ends its wait, another does not", async () => {
  const fds = new FdTable();
  const pipes = [new PipeBuffer(1), new PipeBuffer(2)];
  for (const pipe of pipes) fds.install(new PipeEnd(pipe, O.readOnly), false);
  const { ended, waits: all } = waits(fds);
  const events = POLL.in;
  all.add("first", { ...CALL, waitsFor: [{ descriptor: 0, events }] });
  all.add("second", { ...CALL, waitsFor: [{ descriptor: 1, events }] });
  pipes[1].wake();
  await turns();
  assertEquals(ended, ["second"]);
  await all.stop();
  pipes[0].wake();
  await turns();
  assertEquals(ended, ["second"]);
});

Deno.test("waits: a wait for a descriptor that is not open can be ended all the same", async () => {
  const { ended, waits: all } = waits();
  const waitsFor = [{ descriptor: 500, events: POLL.in }];
  all.add("a", { ...CALL, waitsFor });
  await turns();
  all.remove("a");
  await all.stop();
  assertEquals([ended, all.size], [[], 0]);
});
