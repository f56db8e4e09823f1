import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import * as v from "valibot";
import {
  decodeState,
  ImageError,
  type StateSchema,
  type StateSection,
  toSection,
} from "../../src/state/mod.ts";

const counterState = {
  kind: "counter",
  version: 3,
  schema: v.object({
    count: v.pipe(
      v.union([v.number(), v.bigint()]),
      v.transform((n) => BigInt(n)),
    ),
    limits: v.array(v.object({ max: v.number() })),
  }),
  upgrades: {
    1: (old: unknown) => ({ total: (old as { n: number }).n }),
    2: (old: unknown) => {
      const { total } = v.parse(v.object({ total: v.number() }), old);
      return { count: total, limits: [] };
    },
  },
} satisfies StateSchema<unknown>;

function counter(version: number, value: unknown): StateSection {
  return toSection({ id: "counter0", kind: "counter", version }, value);
}

function refusal(section: StateSection, schema = counterState): ImageError {
  try {
    decodeState(schema, section);
  } catch (error) {
    assert(error instanceof ImageError, String(error));
    return error;
  }
  throw new Error("it did not throw");
}

Deno.test("decodeState: state of this version comes out as the schema says", () => {
  const state = decodeState(
    counterState,
    counter(3, { count: 7, limits: [{ max: 9 }] }),
  );
  // The schema's own type, so that this compiles.
  const count: bigint = state.count;
  assertEquals(count, 7n);
  assertEquals(state.limits[0].max, 9);
});

Deno.test("decodeState: older state is upgraded, a version at a time", () => {
  const expected = { count: 5n, limits: [] };
  assertEquals(decodeState(counterState, counter(1, { n: 5 })), expected);
  assertEquals(decodeState(counterState, counter(2, { total: 5 })), expected);
});

Deno.test("decodeState: newer state is refused, and the message says what fits", () => {
  const error = refusal(counter(4, {}));
  assertEquals(error.code, "IMAGE_VERSION");
  assertEquals(
    error.message,
    'Cannot load "counter0": version of counter is 4, must be <= 3',
  );
});

Deno.test("decodeState: state too old to upgrade is refused", () => {
  const { upgrades: _, ...schema } = counterState;
  const error = refusal(counter(1, {}), schema as typeof counterState);
  assertEquals(error.code, "IMAGE_VERSION");
  assertStringIncludes(error.message, "nothing upgrades version 1");
});

Deno.test("decodeState: state of another kind is refused", () => {
  const error = refusal({ ...counter(3, {}), kind: "clock" });
  assertEquals(error.code, "IMAGE_STATE");
  assertStringIncludes(error.message, "kind is clock, must be counter");
});

Deno.test("decodeState: rubbish is refused, naming the component and the field", () => {
  for (
    const [value, text] of [
      [{ count: 1, limits: [{ max: 1 }, { max: "2" }] }, "limits.1.max"],
      [{ limits: [] }, "count"],
      [null, "counter0"],
      [[], "counter0"],
      // The transformation itself throws.
      [{ count: 0.5, limits: [] }, "counter0"],
    ] as const
  ) {
    const error = refusal(counter(3, value));
    assertEquals(error.code, "IMAGE_STATE");
    assertStringIncludes(
      error.message,
      '"counter0" of kind counter, version 3',
    );
    assertStringIncludes(error.message, text);
    // What is printed as a cause must be an Error, when there is one.
    assert(error.cause === undefined || error.cause instanceof Error);
  }
});

Deno.test("decodeState: an upgrade that chokes on rubbish is refused", () => {
  for (const [version, value] of [[1, null], [2, { total: "x" }]] as const) {
    assertEquals(refusal(counter(version, value)).code, "IMAGE_STATE");
  }
});

Deno.test("decodeState: bytes that are no CBOR are refused", () => {
  const section = { ...counter(3, null), payload: Uint8Array.of(0xff, 0x00) };
  const error = refusal(section);
  assertEquals(error.code, "IMAGE_STATE");
  assertStringIncludes(error.message, "bad CBOR");
});

Deno.test("decodeState: text from the image cannot command the terminal", () => {
  const error = refusal(counter(3, { count: "\x1b[2J\u009b1A", limits: [] }));
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x1f\x7f-\x9f]/.test(error.message), error.message);
});

Deno.test("decodeState: a schema of another maker works", () => {
  const anyNumber: StateSchema<number> = {
    kind: "n",
    version: 1,
    schema: {
      "~standard": {
        vendor: "by hand",
        validate: (value) =>
          typeof value === "number"
            ? { value }
            : { issues: [{ message: "no number", path: ["here"] }] },
      },
    },
  };
  const section = (value: unknown) =>
    toSection({ id: "n0", kind: "n", version: 1 }, value);
  assertEquals(decodeState(anyNumber, section(5)), 5);
  let thrown: unknown;
  try {
    decodeState(anyNumber, section("5"));
  } catch (error) {
    thrown = error;
  }
  assertStringIncludes(String(thrown), "here: no number");
});
