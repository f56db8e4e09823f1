/**
 * `@std/assert` as npm publishes it, with the types of what is used here.
 *
 * @module
 */

// The package on npm comes without types.
import * as untyped from "npm:deno-std@1.4.0/assert/mod.js";

/** A class of errors. */
// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** `@std/assert`, as far as it is used here. */
interface Assert {
  assert(value: unknown, message?: string): asserts value;
  assertEquals<T>(actual: T, expected: T, message?: string): void;
  assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  assertStrictEquals<T>(
    actual: unknown,
    expected: T,
    message?: string,
  ): asserts actual is T;
  assertExists<T>(
    actual: T,
    message?: string,
  ): asserts actual is NonNullable<T>;
  assertInstanceOf<C extends abstract new (...args: never[]) => unknown>(
    actual: unknown,
    expected: C,
    message?: string,
  ): asserts actual is InstanceType<C>;
  assertMatch(actual: string, expected: RegExp, message?: string): void;
  assertStringIncludes(
    actual: string,
    expected: string,
    message?: string,
  ): void;
  assertGreater<T>(actual: T, expected: T, message?: string): void;
  assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void;
  assertLess<T>(actual: T, expected: T, message?: string): void;
  assertLessOrEqual<T>(actual: T, expected: T, message?: string): void;
  assertThrows<E extends Error = Error>(
    call: () => unknown,
    type?: ErrorClass<E>,
    includes?: string,
    message?: string,
  ): E;
  assertRejects<E extends Error = Error>(
    call: () => PromiseLike<unknown>,
    type?: ErrorClass<E>,
    includes?: string,
    message?: string,
  ): Promise<E>;
  fail(message?: string): never;
}

const typed = untyped as unknown as Assert;

/** Fails unless `value` is truthy. */
export const assert: Assert["assert"] = typed.assert;
/** Fails unless both are deeply equal. */
export const assertEquals: Assert["assertEquals"] = typed.assertEquals;
/** Fails if both are deeply equal. */
export const assertNotEquals: Assert["assertNotEquals"] = typed.assertNotEquals;
/** Fails unless both are the same. */
export const assertStrictEquals: Assert["assertStrictEquals"] =
  typed.assertStrictEquals;
/** Fails for null and undefined. */
export const assertExists: Assert["assertExists"] = typed.assertExists;
/** Fails unless it is an instance. */
export const assertInstanceOf: Assert["assertInstanceOf"] =
  typed.assertInstanceOf;
/** Fails unless the text matches. */
export const assertMatch: Assert["assertMatch"] = typed.assertMatch;
/** Fails unless the text includes the other. */
export const assertStringIncludes: Assert["assertStringIncludes"] =
  typed.assertStringIncludes;
/** Fails unless the first is greater. */
export const assertGreater: Assert["assertGreater"] = typed.assertGreater;
/** Fails unless the first is greater or equal. */
export const assertGreaterOrEqual: Assert["assertGreaterOrEqual"] =
  typed.assertGreaterOrEqual;
/** Fails unless the first is less. */
export const assertLess: Assert["assertLess"] = typed.assertLess;
/** Fails unless the first is less or equal. */
export const assertLessOrEqual: Assert["assertLessOrEqual"] =
  typed.assertLessOrEqual;
/** Fails unless the call throws such an error; gives it. */
export const assertThrows: Assert["assertThrows"] = typed.assertThrows;
/** Fails unless the promise rejects with such an error; gives it. */
export const assertRejects: Assert["assertRejects"] = typed.assertRejects;
/** Fails. */
export const fail: Assert["fail"] = typed.fail;
