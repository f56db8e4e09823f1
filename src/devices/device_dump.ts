/**
 * The state of a device as it is at one moment, checked.
 *
 * @module
 */

import type { Component, Dump } from "../state/mod.ts";
import { isThenable } from "./promises.ts";

/** State as it was at one moment, and how the open files were at the same. */
export interface FrozenDevice {
  /** The component whose dump is that state. */
  readonly component: Component;
  /** Settles when the state is there; never rejects. */
  readonly ready: Promise<void>;
}

/**
 * Takes the state of a device at this moment.
 *
 * @param dump gives it, now or later
 * @param together takes what must be of the same moment
 */
export function freezeDump(
  { id, kind, version }: Pick<Component, "id" | "kind" | "version">,
  dump: () => unknown,
  together: () => void,
): FrozenDevice {
  let value: Dump | undefined;
  let failure: unknown;
  let ready: Promise<void> = Promise.resolve();
  try {
    const given = dump();
    if (isThenable(given)) {
      ready = Promise.resolve(given).then(asDump).then(
        (dumped) => void (value = dumped),
        (error) => void (failure = error),
      );
    } else value = asDump(given);
    // Nothing may happen between the two.
    together();
  } catch (error) {
    failure = error;
  }
  const component: Component = {
    id,
    kind,
    version,
    dump() {
      if (failure !== undefined) throw failure;
      return value!;
    },
  };
  return { component, ready };
}

/** What a device gave, as an answer; a copy where it is a value. */
export function asDump(given: unknown): Dump {
  const answer = (given as { answer?: unknown } | null)?.answer;
  if (answer === undefined) {
    return { answer: "payload", value: structuredClone(given) };
  }
  const dump = given as Dump;
  if (dump.answer === "payload") {
    return { answer: "payload", value: structuredClone(dump.value) };
  }
  if (dump.answer === "many") checkParts(dump.parts);
  return dump;
}

/** Refuses what cannot be written as parts. @throws {TypeError} */
function checkParts(parts: unknown): void {
  if (!Array.isArray(parts)) throw new TypeError("its parts must be an array");
  for (const part of parts) {
    const { data = [] } = Object(part) as { data?: unknown };
    if (Array.isArray(data) && data.every((b) => b instanceof Uint8Array)) {
      continue;
    }
    throw new TypeError("the data of a part must be an array of Uint8Array");
  }
}
