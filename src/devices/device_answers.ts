/**
 * What a handler of a device answers to a call, checked.
 *
 * @module
 */

import type { Answer } from "./device_handle.ts";
import { LOWEST_RESULT } from "./plugin_file_state.ts";

/** What a call is answered with. */
export interface CallAnswer {
  /** What the system call gives. */
  readonly result: number;
  /** What the program gets. */
  readonly bytes: Uint8Array;
}

/** No bytes. */
export const NOTHING = new Uint8Array();

/**
 * What a handler answered, now or later, in one form.
 *
 * @param form checks it, and throws what is wrong with it
 */
export function later<T>(
  given: Answer<T>,
  form: (value: T) => CallAnswer,
): Answer<CallAnswer> {
  const isLater = typeof (given as PromiseLike<T> | undefined)?.then ===
    "function";
  return isLater ? Promise.resolve(given).then(form) : form(given as T);
}

/** What a read was answered with: at most `most` bytes, or an errno. */
export function readAnswer(
  given: Uint8Array | number,
  most: number,
): CallAnswer {
  if (typeof given === "number") return countAnswer(given, 0);
  if (!(given instanceof Uint8Array)) {
    throw new TypeError(`it gave ${typeof given}, must be bytes or an errno`);
  }
  if (given.length > most) {
    throw new RangeError(`it gave ${given.length} bytes, must be <= ${most}`);
  }
  return { result: given.length, bytes: given.slice() };
}

/** What a call was answered with that gives a number: at most `most`, or an errno. */
export function countAnswer(result: number, most = 0x7fff_ffff): CallAnswer {
  if (!Number.isInteger(result) || result < LOWEST_RESULT || result > most) {
    throw new RangeError(
      `it gave ${result}, must be a negative errno, or 0 to ${most}`,
    );
  }
  return { result, bytes: NOTHING };
}
