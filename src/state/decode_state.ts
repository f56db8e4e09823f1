/**
 * From a section's bytes to state that can be trusted to be in shape.
 *
 * @module
 */

import * as v from "valibot";
import type {
  Component,
  ShapeResult,
  StateSchema,
  StateSection,
  StateShape,
} from "./component.ts";
import { excerpt, ImageError, reasonOf } from "./errors.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { describeSection } from "./section.ts";

/**
 * The state in a section, upgraded when it is older, and checked.
 *
 * The schema says what shape state has. That it makes sense, such as an
 * address within memory, is for the component that is built from it.
 *
 * @throws {ImageError} IMAGE_VERSION when it is newer, or too old to upgrade;
 * IMAGE_STATE when it is of another kind, or does not fit the schema
 *
 * @example
 * ```ts
 * import * as v from "valibot";
 * import { assertEquals } from "@std/assert";
 * import { decodeState, toSection } from "./mod.ts";
 *
 * const counterState = {
 *   kind: "counter",
 *   version: 2,
 *   schema: v.object({ count: v.number(), step: v.number() }),
 *   upgrades: { 1: (old: unknown) => ({ ...(old as object), step: 1 }) },
 * };
 * const old = { id: "counter0", kind: "counter", version: 1 };
 * assertEquals(
 *   decodeState(counterState, toSection(old, { count: 7 })),
 *   { count: 7, step: 1 },
 * );
 * ```
 */
export function decodeState<S>(
  schema: StateSchema<S>,
  section: StateSection,
): S {
  const { id, kind, version } = section;
  const cannot = `Cannot load "${excerpt(id)}"`;
  const name = describeSection(section);
  if (kind !== schema.kind) {
    throw new ImageError(
      "IMAGE_STATE",
      `${cannot}: its kind is ${excerpt(kind)}, must be ${schema.kind}`,
      { section: name },
    );
  }
  if (version > schema.version) {
    throw new ImageError(
      "IMAGE_VERSION",
      `${cannot}: version of ${kind} is ${version}, must be <= ${schema.version}`,
      { section: name, hint: "use the version that saved it, or a later one" },
    );
  }
  let state: unknown;
  try {
    state = decodePayload(section.payload);
  } catch (cause) {
    throw notInShape(section, reasonOf(cause), cause);
  }
  for (let from = version; from < schema.version; from++) {
    const upgrade = schema.upgrades?.[from];
    if (upgrade === undefined) {
      throw new ImageError(
        "IMAGE_VERSION",
        `${cannot}: version of ${kind} is ${version}, and nothing upgrades version ${from}`,
        { section: name },
      );
    }
    try {
      state = upgrade(state, section.part);
    } catch (cause) {
      throw notInShape(section, reasonOf(cause), cause);
    }
  }
  return parse(schema, section, state);
}

/**
 * A section as it would be read from an image, from one value of a dump: for
 * tests, and for copies that never leave the process.
 *
 * @throws {Error} when the value holds what a payload may not
 */
export function toSection(
  component: Pick<Component, "id" | "kind" | "version">,
  value: unknown,
  part = 0,
): StateSection {
  const { id, kind, version } = component;
  return { id, kind, version, part, payload: encodePayload(value) };
}

function parse<S>(
  schema: StateSchema<S>,
  section: StateSection,
  state: unknown,
): S {
  let result: ShapeResult<S> | Promise<ShapeResult<S>>;
  try {
    result = check(schema.schema, state);
  } catch (cause) {
    // A transformation in a schema may throw.
    throw notInShape(section, reasonOf(cause), cause);
  }
  if (result instanceof Promise) {
    throw new TypeError(
      `The schema of ${schema.kind} must not be asynchronous`,
    );
  }
  if (result.issues === undefined) return result.value;
  const { message, path = [] } = result.issues[0];
  const keys = path.map((step) =>
    String(typeof step === "object" ? step.key : step)
  );
  const where = keys.length > 0 ? `${keys.join(".")}: ` : "";
  throw notInShape(section, excerpt(where + message));
}

function check<S>(
  shape: StateShape<S>,
  state: unknown,
): ShapeResult<S> | Promise<ShapeResult<S>> {
  const standard = shape["~standard"];
  if (standard.vendor !== "valibot") return standard.validate(state);
  // Asked for the first issue only: all of them, for a list of a million
  // wrong values, would take a gigabyte.
  const result = v.safeParse(shape as unknown as v.GenericSchema, state, {
    abortEarly: true,
  });
  if (!result.success) {
    const [{ message, path }] = result.issues;
    return {
      issues: [{ message, path: path?.map(({ key }) => ({ key: `${key}` })) }],
    };
  }
  return { value: result.output as S };
}

function notInShape(
  section: StateSection,
  reason: string,
  cause?: unknown,
): ImageError {
  const { id, kind, version } = section;
  return new ImageError(
    "IMAGE_STATE",
    `Cannot load "${
      excerpt(id)
    }" of kind ${kind}, version ${version}: ${reason}`,
    { section: describeSection(section), cause },
  );
}
