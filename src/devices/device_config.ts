/**
 * A device's configuration: keys and values, as on the command line.
 *
 * @module
 */

import { VmError } from "../vmm/mod.ts";

/** What a number of a configuration must be. */
export interface NumberRange {
  /** What it is when nothing is said; absent: it must be given. */
  readonly default?: number;
  /** The smallest; default 0. */
  readonly min?: number;
  /** The largest; default 2^53 - 1. */
  readonly max?: number;
}

/**
 * The keys and values that a user gave a device, read one by one. Which keys
 * there are follows from those that are asked for: any other is an error.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ConfigValues } from "./mod.ts";
 *
 * const values = new ConfigValues("disk0", { path: "a.img", size: "0x200" });
 * assertEquals(values.text("path"), "a.img");
 * assertEquals(values.number("size", { min: 1 }), 512);
 * assertEquals(values.flag("read-only"), false);
 * values.finish();
 * ```
 */
export class ConfigValues {
  readonly #id: string;
  readonly #values: Readonly<Record<string, string>>;
  readonly #known = new Set<string>();

  /**
   * Values to be read.
   *
   * @param id the device's name, for messages
   * @param values what the user gave
   */
  constructor(id: string, values: Readonly<Record<string, string>>) {
    this.#id = id;
    this.#values = values;
  }

  /** Whether `key` was given. */
  has(key: string): boolean {
    this.#known.add(key);
    return Object.hasOwn(this.#values, key);
  }

  /**
   * A text.
   *
   * @param key its name
   * @param fallback what it is when nothing is said; absent: it must be given
   * @throws {VmError} VM_CONFIG when it is missing
   */
  text(key: string, fallback?: string): string {
    if (this.has(key)) return this.#values[key];
    if (fallback === undefined) throw this.#wrong(`"${key}" is missing`);
    return fallback;
  }

  /**
   * A whole number, in decimal or as 0x….
   *
   * @throws {VmError} VM_CONFIG when it is missing, no number, or out of range
   */
  number(key: string, range: NumberRange = {}): number {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = range;
    if (!this.has(key) && range.default !== undefined) return range.default;
    const text = this.text(key);
    const isNumber = /^(-?\d+|0x[0-9a-f]+)$/i.test(text);
    const value = isNumber ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw this.#wrong(
      `"${key}" is ${text}, must be a whole number from ${min} to ${max}`,
    );
  }

  /**
   * Whether something is on: `true`, `1` or nothing after the `=`; `false`, `0`
   * or not given.
   *
   * @throws {VmError} VM_CONFIG for anything else
   */
  flag(key: string): boolean {
    const text = this.text(key, "false");
    if (["true", "1", ""].includes(text)) return true;
    if (["false", "0"].includes(text)) return false;
    throw this.#wrong(`"${key}" is ${text}, must be true or false`);
  }

  /**
   * Says that all was read.
   *
   * @throws {VmError} VM_CONFIG naming a key that was not, and those that were
   */
  finish(): void {
    const unknown = Object.keys(this.#values)
      .find((key) => !this.#known.has(key));
    if (unknown === undefined) return;
    const known = [...this.#known, "id"].sort().join(", ");
    throw this.#wrong(`there is no "${unknown}"; known are ${known}`);
  }

  #wrong(why: string): VmError {
    return new VmError(
      "VM_CONFIG",
      `Cannot configure device "${this.#id}": ${why}`,
    );
  }
}

/** A name and its values, as in `./counter.ts:step=2,id=c1`. */
export interface NamedValues {
  /** What is before the values. */
  readonly name: string;
  /** The values by key. */
  readonly values: Readonly<Record<string, string>>;
}

/**
 * Takes apart `NAME:key=value,key=value`. A value goes up to the next `,key=`,
 * so that it may hold commas; a name may hold colons.
 *
 * @throws {VmError} VM_CONFIG for a key given twice
 */
export function parseNamedValues(text: string): NamedValues {
  const [, name, list] = /^(.*?)(?::([a-z][\w-]*=.*))?$/is.exec(text)!;
  const values: Record<string, string> = {};
  for (const pair of list?.split(/,(?=[a-z][\w-]*=)/i) ?? []) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, equals);
    if (Object.hasOwn(values, key)) {
      throw new VmError("VM_CONFIG", `Cannot read "${text}": ${key} is twice`);
    }
    values[key] = pair.slice(equals + 1);
  }
  return { name, values };
}
