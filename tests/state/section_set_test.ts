import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  ImageError,
  SectionSet,
  type StateSection,
  toSection,
} from "../../src/state/mod.ts";

function section(kind: string, id: string, part = 0): StateSection {
  return toSection({ kind, id, version: 1 }, null, part);
}

function refusal(work: () => unknown): ImageError {
  try {
    work();
  } catch (error) {
    assert(error instanceof ImageError, String(error));
    return error;
  }
  throw new Error("it did not throw");
}

function sample(): SectionSet {
  return new SectionSet([
    section("clock", "clock"),
    section("memory", "ram", 0),
    section("memory", "ram", 1),
    section("vcpu", "vcpu0"),
    section("vcpu", "vcpu1"),
  ]);
}

Deno.test("SectionSet: each section is taken once", () => {
  const set = sample();
  assertEquals(set.take("clock").id, "clock");
  assertEquals(set.takeParts("memory").map((s) => s.part), [0, 1]);
  assertEquals(set.take("vcpu", "vcpu1").id, "vcpu1");
  assertEquals(set.has("vcpu", "vcpu1"), false);
  assertEquals(set.has("vcpu"), true);
  assertEquals(set.takeAll("vcpu").map((s) => s.id), ["vcpu0"]);
  assertEquals(set.takeAll("vcpu"), []);
  set.finish();
});

Deno.test("SectionSet: one that is missing is named", () => {
  const set = sample();
  set.take("clock");
  for (const [kind, id] of [["clock"], ["random"], ["vcpu", "vcpu7"]]) {
    const error = refusal(() => set.take(kind, id));
    assertEquals(error.code, "IMAGE_MISSING");
    assertStringIncludes(error.message, id ?? kind);
  }
});

Deno.test("SectionSet: all that was not taken is named", () => {
  const set = sample();
  set.take("vcpu", "vcpu0");
  const error = refusal(() => set.finish());
  assertEquals(error.code, "IMAGE_LEFTOVER");
  assertStringIncludes(
    error.message,
    'clock "clock", memory "ram", vcpu "vcpu1"',
  );
  assert(error.hint !== undefined);
});

Deno.test("SectionSet: a long list of leftovers is cut short", () => {
  const many = Array.from({ length: 50 }, (_, i) => section("k", `c${i}`));
  const { message } = refusal(() => new SectionSet(many).finish());
  assertStringIncludes(message, "and 40 more");
});

Deno.test("SectionSet: more than was asked for is an error", () => {
  assertEquals(refusal(() => sample().take("memory")).code, "IMAGE_STATE");
  assertEquals(refusal(() => sample().take("vcpu")).code, "IMAGE_STATE");
});
