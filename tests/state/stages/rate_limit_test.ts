import { assert, assertEquals, assertThrows } from "@std/assert";
import { rateLimit, type RateLimitClock } from "../../../mod.ts";
import { seeded } from "../../support.ts";
import {
  assertSameBytes,
  collect,
  cut,
  reusing,
  sample,
  through,
  turns,
} from "./pipeline.ts";

/** Time that passes only while somebody sleeps. */
class SleepClock implements RateLimitClock {
  timeMs = 0;

  now(): number {
    return this.timeMs;
  }

  async sleep(ms: number): Promise<void> {
    await turns(1);
    this.timeMs += ms;
  }
}

Deno.test("rateLimit: it takes as long as the rate says, and changes nothing", async () => {
  const random = seeded("rateLimit");
  for (const bytesPerSecond of [7, 1000, 123_456, 1e9]) {
    const length = Math.min(2_000_000, bytesPerSecond * 3);
    const bytes = sample(length, random);
    const clock = new SleepClock();
    const stage = rateLimit({ bytesPerSecond, clock });
    assertSameBytes(await through(cut(bytes, random), stage), bytes);
    const burst = Math.max(1, Math.min(2 ** 20, bytesPerSecond / 10));
    const leastMs = (length - burst) / bytesPerSecond * 1000;
    // Sleeps are of whole milliseconds, and end at most one too late each.
    assert(clock.timeMs >= leastMs - 1, `${clock.timeMs} ${leastMs}`);
    assert(clock.timeMs <= leastMs * 1.3 + 200, `${clock.timeMs} ${leastMs}`);
  }
});

Deno.test("rateLimit: at no time has more passed than may have", async () => {
  const random = seeded("rateLimit");
  const bytesPerSecond = 50_000;
  const clock = new SleepClock();
  const stage = rateLimit({ bytesPerSecond, clock });
  const source = reusing(cut(sample(200_000, random), random));
  let passed = 0;
  for await (const chunk of source.pipeThrough(stage)) {
    assert(chunk.length <= bytesPerSecond / 10);
    passed += chunk.length;
    const most = bytesPerSecond * (clock.timeMs / 1000 + 0.1);
    assert(passed <= most + 1, `${passed} at ${clock.timeMs}`);
  }
  assertEquals(passed, 200_000);
});

Deno.test("rateLimit: a pause earns no more than a tenth of a second", async () => {
  const clock = new SleepClock();
  const stage = rateLimit({ bytesPerSecond: 1000, clock });
  const writer = stage.writable.getWriter();
  clock.timeMs = 1_000_000;
  const all = collect(stage.readable);
  await writer.write(new Uint8Array(1100));
  await writer.close();
  assertEquals((await all).length, 1100);
  assert(clock.timeMs >= 1_001_000 - 1, `${clock.timeMs}`);
});

Deno.test("rateLimit: the signal ends it while it waits, and no timer is left", async () => {
  const aborter = new AbortController();
  const { signal } = aborter;
  const stage = rateLimit({ bytesPerSecond: 1, signal });
  const outcome = through([new Uint8Array(1000)], stage).catch((e) => e);
  await turns(20);
  const reason = new Error("enough");
  aborter.abort(reason);
  assertEquals(await outcome, reason);
});

Deno.test("rateLimit: cancelling ends it while it waits, and no timer is left", async () => {
  const stage = rateLimit({ bytesPerSecond: 1 });
  const writer = stage.writable.getWriter();
  const written = writer.write(new Uint8Array(1000)).catch((e) => e);
  const reader = stage.readable.getReader();
  await reader.read();
  const reason = new Error("enough");
  await reader.cancel(reason);
  assertEquals(await written, reason);
});

Deno.test("rateLimit: a signal that was aborted before ends it at once", async () => {
  const signal = AbortSignal.abort("too late");
  const stage = rateLimit({ bytesPerSecond: 1, signal });
  const error = await through([new Uint8Array(10)], stage).catch((e) => e);
  assertEquals(error, "too late");
});

Deno.test("rateLimit: a rate that is none is refused", () => {
  for (const bytesPerSecond of [0, -1, NaN, Infinity]) {
    assertThrows(() => rateLimit({ bytesPerSecond }), RangeError);
  }
});
