/**
 * What goes over no faster than was allowed.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { paced } from "../../src/migration/pace.ts";

/** A sink that notes what it was given. */
function noting() {
  const chunks: Uint8Array[] = [];
  return {
    chunks,
    sink: { write: (chunk: Uint8Array) => void chunks.push(chunk.slice()) },
  };
}

Deno.test("pace: the bytes that are passed on are those that came, in small pieces", async () => {
  const { chunks, sink } = noting();
  const slow = paced(sink, 1_000_000, undefined);
  const buffer = new Uint8Array(60_000);
  for (let i = 0; i < 4; i++) {
    // Its memory is used again once it was taken.
    buffer.fill(i);
    await slow.write(buffer);
  }
  await slow.end();
  const whole = new Uint8Array(
    await new Blob(chunks as BlobPart[]).arrayBuffer(),
  );
  assertEquals(whole.length, 240_000);
  for (let i = 0; i < 4; i++) {
    assert(whole.subarray(i * 60_000, (i + 1) * 60_000).every((b) => b === i));
  }
  assert(chunks.every(({ length }) => length <= 100_000));
});

Deno.test("pace: without a rate chunks are passed on as they are", async () => {
  const { chunks, sink } = noting();
  const fast = paced(sink, undefined, undefined);
  await fast.write(new Uint8Array(5_000_000));
  await fast.end();
  assertEquals(chunks.map(({ length }) => length), [5_000_000]);
});

Deno.test("pace: why the sink failed is told", async () => {
  const slow = paced(
    { write: () => Promise.reject(new Error("the peer is gone")) },
    1_000_000,
    undefined,
  );
  await assertRejects(
    async () => {
      for (let i = 0; i < 100; i++) await slow.write(new Uint8Array(50_000));
      await slow.end();
    },
    Error,
    "the peer is gone",
  );
});

Deno.test("pace: a signal ends the waiting", async () => {
  const giveUp = new AbortController();
  const { sink } = noting();
  const slow = paced(sink, 1, giveUp.signal);
  const writing = slow.write(new Uint8Array(1000));
  giveUp.abort(new Error("no more time"));
  await assertRejects(async () => await writing);
});
