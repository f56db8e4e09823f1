import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { hash } from "../../../mod.ts";
import { seeded } from "../../support.ts";
import { assertSameBytes, cut, LENGTHS, sample, through } from "./pipeline.ts";

Deno.test("hash: it is the digest of what passes, and changes nothing", async () => {
  const random = seeded("hash");
  for (const algorithm of ["SHA-256", "SHA-384", "SHA-512"] as const) {
    for (const length of LENGTHS) {
      const bytes = sample(length, random);
      const stage = hash(algorithm);
      assertSameBytes(await through(cut(bytes, random), stage), bytes);
      const expected = await crypto.subtle.digest(algorithm, bytes);
      assertEquals(await stage.digest, new Uint8Array(expected).toHex());
    }
  }
});

Deno.test("hash: SHA-256 is what it is unless told", async () => {
  const stage = hash();
  await through([new TextEncoder().encode("abc")], stage);
  // The example of FIPS 180-2, B.1.
  assertEquals(
    await stage.digest,
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

Deno.test("hash: a pipeline that fails has no digest, and nobody must look", async () => {
  for (const isLookedAt of [true, false]) {
    const stage = hash();
    await stage.readable.cancel(new Error("enough"));
    if (isLookedAt) await assertRejects(() => stage.digest, Error, "enough");
  }
});

Deno.test("hash: an unknown algorithm is refused", () => {
  for (const name of ["MD5", "sha256", "toString"]) {
    assertThrows(() => hash(name as "SHA-256"), RangeError, name);
  }
});
