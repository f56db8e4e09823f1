import { assert, assertEquals } from "@std/assert";
import { type Progress, progress } from "../../../mod.ts";
import { seeded } from "../../support.ts";
import { assertSameBytes, cut, LENGTHS, sample, through } from "./pipeline.ts";

Deno.test("progress: it tells of the end, and changes nothing", async () => {
  const random = seeded("progress");
  for (const length of LENGTHS) {
    const bytes = sample(length, random);
    const told: Progress[] = [];
    const stage = progress((p) => told.push(p), { totalBytes: length });
    assertSameBytes(await through(cut(bytes, random), stage), bytes);
    assertEquals(told.at(-1)?.bytes, length);
    assert(told.every(({ totalBytes }) => totalBytes === length));
    assert(told.every((p, i) => i === 0 || p.bytes >= told[i - 1].bytes));
  }
});

Deno.test("progress: it tells no more often than it shall, and how fast it is", async () => {
  let timeMs = 5000;
  const told: Progress[] = [];
  const stage = progress((p) => told.push(p), {
    intervalMs: 100,
    // Each chunk takes 10 ms: it looks before, and after.
    now: () => timeMs,
  });
  const chunk = new Uint8Array(1000);
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      timeMs += 10;
      if (timeMs > 6000) controller.close();
      else controller.enqueue(chunk);
    },
  }, { highWaterMark: 0 });
  await source.pipeThrough(stage).pipeTo(new WritableStream());
  assert(told.length >= 10 && told.length <= 12, `${told.length}`);
  assertEquals(told.at(-1)?.bytes, 100_000);
  const { bytesPerSecond } = told.at(-1)!;
  assert(Math.abs(bytesPerSecond - 100_000) < 5000, `${bytesPerSecond}`);
  assert(told.every((p) => p.totalBytes === undefined));
});

Deno.test("progress: without an interval it tells of each chunk", async () => {
  const told: number[] = [];
  const stage = progress((p) => told.push(p.bytes), { intervalMs: 0 });
  await through([1, 2, 3].map((n) => new Uint8Array(n)), stage);
  assertEquals(told, [1, 3, 6, 6]);
});

Deno.test("progress: a callback that throws fails the pipeline", async () => {
  const broken = new Error("no terminal");
  const stage = progress(() => {
    throw broken;
  });
  const error = await through([new Uint8Array(5)], stage).catch((e) => e);
  assertEquals(error, broken);
});
