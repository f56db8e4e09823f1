/**
 * `@std/cli` as npm publishes it, with the types of what is used here.
 *
 * @module
 */

// The package on npm comes without types.
import { parseArgs as parse } from "npm:deno-std@1.4.0/cli/parse_args.js";

/** How to parse a command line; see `@std/cli`. */
export interface ParseOptions {
  /** Options that are on or off. */
  readonly boolean?: readonly string[];
  /** Options with a value. */
  readonly string?: readonly string[];
  /** Options that may come more than once. */
  readonly collect?: readonly string[];
  /** Stop at the first argument that is no option. */
  readonly stopEarly?: boolean;
  /** Called with each option that is not named above; false drops it. */
  readonly unknown?: (
    argument: string,
    key?: string,
    value?: unknown,
  ) => unknown;
}

/** The options by name, and in `_` what is no option. */
export interface ParsedArgs {
  /** What is no option. */
  _: (string | number)[];
  /** The options. */
  [name: string]: unknown;
}

/** Splits a command line into options and the rest. */
export const parseArgs: (
  args: readonly string[],
  options?: ParseOptions,
) => ParsedArgs = parse as never;
