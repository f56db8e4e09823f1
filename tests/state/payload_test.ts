import { assert, assertEquals, assertThrows } from "@std/assert";
import { decodePayload, encodePayload } from "../../src/state/mod.ts";
import { pattern } from "./sample_image.ts";

/** Bytes from hex digits. */
function hex(digits: string): Uint8Array {
  return Uint8Array.fromHex(digits.replaceAll(" ", ""));
}

Deno.test("payload: values of every kind come back", () => {
  const value = {
    whole: [0, 23, 24, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -1, -(2 ** 40)],
    large: [2n ** 53n, 2n ** 64n - 1n, -(2n ** 63n)],
    fractions: [0.5, -1e300, 1 / 3],
    texts: ["", "héllo", "x".repeat(300)],
    bytes: [new Uint8Array(), pattern(300, 1)],
    nested: { a: { b: [{ c: null }, true, false] } },
  };
  assertEquals(decodePayload(encodePayload(value)), value);
});

Deno.test("payload: small bigints come back as numbers", () => {
  assertEquals(decodePayload(encodePayload([1n, -1n])), [1, -1]);
});

Deno.test("payload: a key named __proto__ is only a key", () => {
  const value = decodePayload(hex("a1 69 5f5f70726f746f5f5f a1 61 78 01"));
  assertEquals(Object.keys(value as object), ["__proto__"]);
  assertEquals((value as { x?: number }).x, undefined);
  assertEquals(({} as { x?: number }).x, undefined);
});

Deno.test("payload: what is not exactly one sound value is refused", () => {
  const bad = {
    "nothing": "",
    "more than one value": "01 01",
    "a list that lacks a value": "82 01",
    "a text that is cut off": "63 61 62",
    "a length that does not follow": "59 01",
    "a list longer than the payload": "9b 00000000 ffffffff",
    "a text longer than can be": "7b ffffffff ffffffff",
    "a map longer than the payload": "ba 80000000",
    "a list without length": "9f 01 ff",
    "bytes without length": "5f 41 00 ff",
    "a break": "ff",
    "a tag": "c0 61 61",
    "undefined": "f7",
    "a simple value": "e0",
    "a key that is there twice": "a2 61 61 01 61 61 02",
    "a key that is no text": "a1 01 01",
    "a number that could be shorter": "18 01",
    "a length that could be shorter": "78 01 61",
    "an unknown kind of length": "1c",
  };
  for (const [what, digits] of Object.entries(bad)) {
    assertThrows(() => decodePayload(hex(digits)), Error, undefined, what);
  }
});

Deno.test("payload: nesting and number of values have bounds", () => {
  const nested = (depth: number) =>
    new Uint8Array(depth + 1).fill(0x81, 0, depth).fill(0x01, depth);
  decodePayload(nested(32));
  assertThrows(() => decodePayload(nested(33)), Error, "too deep");
  assertThrows(() => decodePayload(nested(10_000_000)), Error, "too deep");

  const list = new Uint8Array(5 + 3_000_000).fill(0x80);
  list.set([0x9a, 0x00, 0x2d, 0xc6, 0xc0]);
  assertThrows(() => decodePayload(list), Error, "too many values");
});

Deno.test("payload: what cannot be read again is not written", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  let deep: unknown = 1;
  for (let i = 0; i < 40; i++) deep = [deep];
  for (
    const value of [
      circle,
      deep,
      [undefined],
      undefined,
      () => 1,
      Symbol("s"),
      2n ** 64n,
      new Uint8Array(16 * 1024 ** 2),
    ]
  ) {
    assertThrows(() => encodePayload(value), Error);
  }
});

Deno.test("payload: random bytes decode, or fail with an Error that says so", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    const bytes = pattern(1 + round % 40, seed + round);
    try {
      // What decodes is a value like any other, so it can be written again.
      encodePayload(decodePayload(bytes));
    } catch (error) {
      assert(error instanceof Error, `round ${round}`);
      assert(!(error instanceof TypeError), `round ${round}: ${error.stack}`);
      refused++;
    }
  }
  assert(refused > 1000);
});
