import { assertEquals, assertRejects } from "@std/assert";
import { count } from "../../../mod.ts";
import { seeded } from "../../support.ts";
import { assertSameBytes, cut, LENGTHS, sample, through } from "./pipeline.ts";

Deno.test("count: it counts what passes, and changes nothing", async () => {
  const random = seeded("count");
  for (const length of LENGTHS) {
    const bytes = sample(length, random);
    const stage = count();
    assertEquals(stage.bytesSoFar, 0);
    assertSameBytes(await through(cut(bytes, random), stage), bytes);
    assertEquals(await stage.bytes, length);
    assertEquals(stage.bytesSoFar, length);
  }
});

Deno.test("count: a pipeline that fails has no count, and nobody must look", async () => {
  for (const isLookedAt of [true, false]) {
    const stage = count();
    const writer = stage.writable.getWriter();
    writer.write(new Uint8Array(10)).catch(() => {});
    await stage.readable.getReader().read();
    await writer.abort(new Error("enough"));
    if (isLookedAt) await assertRejects(() => stage.bytes, Error, "enough");
    assertEquals(stage.bytesSoFar, 10);
  }
});
