import { assertEquals } from "@std/assert";
import { ERRNO, errnoName } from "../../src/kvm/mod.ts";

Deno.test("errno: every number has one name, and the name leads back", () => {
  const names = Object.entries(ERRNO);
  for (const [name, number] of names) assertEquals(errnoName(number), name);
  assertEquals(new Set(Object.values(ERRNO)).size, names.length);
});

Deno.test("errno: a number Linux does not use is still named", () => {
  assertEquals(errnoName(41), "errno 41");
  assertEquals(errnoName(0), "errno 0");
});
