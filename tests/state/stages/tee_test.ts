import { assert, assertEquals, assertThrows } from "@std/assert";
import { tee } from "../../../mod.ts";
import { seeded } from "../../support.ts";
import {
  assertSameBytes,
  concat,
  cut,
  failsWith,
  LENGTHS,
  reusing,
  sample,
  through,
  turns,
} from "./pipeline.ts";

/** A sink that keeps the very chunks it is given, and how it ended. */
function keeping() {
  const kept = { chunks: [] as Uint8Array[], end: "open", reason: undefined };
  const sink = new WritableStream<Uint8Array>({
    write: (chunk) => void kept.chunks.push(chunk),
    close: () => void (kept.end = "closed"),
    abort(reason) {
      kept.end = "aborted";
      kept.reason = reason;
    },
  });
  return { kept, sink };
}

Deno.test("tee: every sink gets all, and is closed; what passes is the same", async () => {
  const random = seeded("tee");
  for (const length of LENGTHS) {
    const bytes = sample(length, random);
    const sinks = [keeping(), keeping(), keeping()];
    const stage = tee(...sinks.map(({ sink }) => sink));
    assertSameBytes(await through(cut(bytes, random), stage), bytes);
    for (const { kept, sink } of sinks) {
      assertSameBytes(concat(kept.chunks), bytes);
      assertEquals(kept.end, "closed");
      assertEquals(sink.locked, false);
    }
  }
});

Deno.test("tee: a sink that changes what it gets changes nothing else", async () => {
  const bytes = sample(10_000, seeded("tee"));
  const { kept, sink } = keeping();
  const spoiling = new WritableStream<Uint8Array>({
    write: (chunk) => void chunk.fill(0),
  });
  assertSameBytes(await through([bytes], tee(spoiling, sink)), bytes);
  assertSameBytes(concat(kept.chunks), bytes);
});

Deno.test("tee: it goes as slowly as the slowest sink", async () => {
  let taken = 0;
  let release = () => {};
  const slow = new WritableStream<Uint8Array>({
    write(chunk) {
      taken += chunk.length;
      return new Promise<void>((resolve) => release = resolve);
    },
  });
  let asked = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      asked++;
      if (asked > 100) controller.close();
      else controller.enqueue(new Uint8Array(10));
    },
  }, { highWaterMark: 0 });
  const done = source.pipeThrough(tee(slow)).pipeTo(new WritableStream());
  await turns(50);
  assertEquals(taken, 10);
  assert(asked <= 3, `${asked}`);
  let isDone = false;
  const finished = done.then(() => isDone = true);
  while (!isDone) {
    release();
    await turns(1);
  }
  await finished;
  assertEquals(taken, 1000);
});

Deno.test("tee: a sink that fails is named, and all others are aborted", async () => {
  for (const when of ["write", "close"] as const) {
    const broken = new Error("disk full");
    const failing = new WritableStream<Uint8Array>({
      [when]() {
        throw broken;
      },
    });
    const { kept, sink } = keeping();
    const bytes = sample(10_000, seeded("tee"));
    // What is closed already cannot be aborted.
    const late = new WritableStream<Uint8Array>({});
    const error = await failsWith(
      "STAGE_SINK",
      through([bytes, bytes], tee(late, failing, sink)),
    );
    assertEquals(error.message, "Cannot tee: sink 1 failed: disk full");
    assertEquals(error.cause, broken);
    await turns(1);
    if (when === "write") {
      assertEquals([kept.end, kept.reason], ["aborted", error]);
    }
  }
});

Deno.test("tee: a pipeline that fails aborts the sinks with its reason", async () => {
  const { kept, sink } = keeping();
  const reason = new Error("enough");
  const source = reusing([new Uint8Array(10), new Uint8Array(10)]);
  const reader = source.pipeThrough(tee(sink)).getReader();
  await reader.read();
  await reader.cancel(reason);
  assertEquals([kept.end, kept.reason], ["aborted", reason]);
  assertEquals(sink.locked, false);
});

Deno.test("tee: a sink that cannot be written to is refused, and no other locked", () => {
  const { sink } = keeping();
  const locked = new WritableStream<Uint8Array>();
  const writer = locked.getWriter();
  assertThrows(() => tee(sink, locked), TypeError, "sink 1");
  assertThrows(() => tee(sink, sink), TypeError, "twice");
  assertEquals(sink.locked, false);
  writer.releaseLock();
});
