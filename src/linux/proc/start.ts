/**
 * What a program was started with, as it is in its memory: /proc/PID/auxv,
 * environ and cmdline.
 *
 * @module
 */

import { PAGE_BYTES } from "../../vmm/mod.ts";
import type { Linux } from "../linux.ts";
import { STACK_BYTES, STACK_TOP_VA } from "../space_layout.ts";

/** Entries of the auxiliary vector by which it is known (linux/auxvec.h). */
const AT_PAGESZ = 6n;
const AT_CLKTCK = 17n;

/** How far below the top of the stack it may be: all arguments are above it. */
const SEARCH_BYTES = STACK_BYTES / 4 + PAGE_BYTES;

/** Most that /proc/PID/environ gives. */
const MAX_ENVIRONMENT_BYTES = STACK_BYTES / 4;

/** The words at the top of the stack, and the place of the vector in them. */
interface Start {
  /** Address of the first word. */
  readonly va: number;
  readonly words: BigUint64Array;
  /** Index of the first word of the auxiliary vector. */
  readonly auxv: number;
}

/** Finds the vector: where the loader put it, whatever is above it now. */
function findStart(linux: Linux): Start | undefined {
  const { user } = linux;
  let va = STACK_TOP_VA;
  const bytes = new Uint8Array(SEARCH_BYTES);
  // What of the stack may be read, from its top down.
  while (va > STACK_TOP_VA - SEARCH_BYTES) {
    const at = va - PAGE_BYTES - (STACK_TOP_VA - SEARCH_BYTES);
    if (!user.read(va - PAGE_BYTES, bytes.subarray(at, at + PAGE_BYTES))) break;
    va -= PAGE_BYTES;
  }
  const from = va - (STACK_TOP_VA - SEARCH_BYTES);
  const words = new BigUint64Array(bytes.buffer, from);
  for (let i = words.length - 4; i > 0; i--) {
    const isThere = words[i] === AT_PAGESZ &&
      words[i + 1] === BigInt(PAGE_BYTES) && words[i + 2] === AT_CLKTCK;
    if (!isThere) continue;
    // The entries before it have values that are not 0: a 0 ends the
    // environment.
    let auxv = i;
    while (auxv >= 2 && words[auxv - 1] !== 0n) auxv -= 2;
    return { va, words, auxv };
  }
  return undefined;
}

/** The auxiliary vector, up to its AT_NULL. */
export function auxvOf(linux: Linux): Uint8Array {
  const start = findStart(linux);
  if (!start) return new Uint8Array();
  const { words, auxv } = start;
  let end = auxv;
  while (end + 2 <= words.length && words[end] !== 0n) end += 2;
  return new Uint8Array(words.slice(auxv, end + 2).buffer);
}

/** The environment that the program was started with: `NAME=value`, each with its 0. */
export function environmentOf(linux: Linux): Uint8Array {
  const start = findStart(linux);
  if (!start) return new Uint8Array();
  const { words, auxv } = start;
  let first = auxv - 1;
  while (first >= 1 && words[first - 1] !== 0n) first--;
  const parts: number[] = [];
  for (let i = first; i < auxv - 1; i++) {
    const left = MAX_ENVIRONMENT_BYTES - parts.length;
    const one = linux.user.readString(Number(words[i]), left);
    if (typeof one === "number") break;
    for (const byte of one) parts.push(byte);
    parts.push(0);
  }
  return Uint8Array.from(parts);
}

/** argv, each with its 0. */
export function commandLineOf(linux: Linux): Uint8Array {
  const words = linux.process.state.arguments.map((word) => `${word}\0`);
  return new TextEncoder().encode(words.join(""));
}
