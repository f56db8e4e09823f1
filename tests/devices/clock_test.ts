import { assert, assertEquals } from "@std/assert";
import { Clock, type ClockStateV1 } from "../../src/devices/mod.ts";
import { delay } from "../support.ts";

function saved(clock: Clock): ClockStateV1 {
  const dump = clock.dump();
  assert(dump.answer === "payload");
  return dump.value as ClockStateV1;
}

Deno.test("clock: monotonic time starts near zero and never goes back", () => {
  const clock = new Clock();
  let last = 0;
  for (let i = 0; i < 10_000; i++) {
    const now = clock.monotonicNs();
    assert(now >= last);
    last = now;
  }
  assert(Number.isSafeInteger(last));
});

Deno.test("clock: no time passes while it is stopped, however long that is", async () => {
  const clock = new Clock();
  clock.stop();
  const stopped = clock.monotonicNs();
  await delay(20);
  assertEquals(clock.monotonicNs(), stopped);
  assertEquals(saved(clock), { monotonicNs: stopped });
  // To stop twice changes nothing.
  clock.stop();
  assertEquals(clock.monotonicNs(), stopped);
  clock.start();
  const started = clock.monotonicNs();
  assert(started >= stopped);
  clock.start();
  assert(clock.monotonicNs() >= started);
});

Deno.test("clock: a restored one goes on from what was saved", async () => {
  const state = { monotonicNs: 123_456_789_012 };
  const clock = new Clock(state);
  clock.stop();
  const restored = clock.monotonicNs();
  assert(restored >= state.monotonicNs);
  const again = new Clock(saved(clock));
  again.stop();
  assert(again.monotonicNs() >= restored);
  await delay(5);
  again.start();
  assert(again.monotonicNs() >= restored);
});

Deno.test("clock: a deadline beyond what can be counted is the last that can be", () => {
  const clock = new Clock();
  clock.stop();
  const now = clock.monotonicNs();
  assertEquals(clock.deadlineNs(0, 0), now);
  assertEquals(clock.deadlineNs(2, 5), now + 2_000_000_005);
  for (const seconds of [2 ** 31, 2 ** 53, Number.MAX_SAFE_INTEGER]) {
    assert(Number.isSafeInteger(clock.deadlineNs(seconds, 999_999_999)));
  }
  assertEquals(clock.deadlineNs(2 ** 53, 0), Number.MAX_SAFE_INTEGER);
});

Deno.test("clock: the wall clock is the host's, also while it is stopped", () => {
  const clock = new Clock({ monotonicNs: 0 });
  clock.stop();
  const before = Date.now();
  clock.readRealtime();
  const after = Date.now();
  const ms = clock.seconds * 1000 + clock.nanoseconds / 1e6;
  assert(ms >= before - 1 && ms <= after + 1, `${before} ${ms} ${after}`);
  assert(clock.nanoseconds >= 0 && clock.nanoseconds < 1e9);
});
