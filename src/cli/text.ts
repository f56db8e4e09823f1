/**
 * Text on its way to a terminal.
 *
 * @module
 */

import type * as Fs from "node:fs";

export { printable } from "../../mod.ts";

const encoder = new TextEncoder();

/** For waiting a millisecond: nothing ever changes it. */
const CELL = new Int32Array(new SharedArrayBuffer(4));

/** How long a message waits for who reads a terminal, ms. */
const PATIENCE_MS = 1000;

/** Something to print on: standard output or error. */
export interface Output {
  /** Writes some of `bytes`, and says how many. */
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes a line as a whole.
 *
 * @param patienceMs how long it waits where `output` would have to be waited for
 * @returns false when nobody reads any more; whoever prints may stop then
 */
export function writeLine(
  output: Output,
  line: string,
  patienceMs = Infinity,
): boolean {
  const bytes = encoder.encode(`${line}\n`);
  try {
    for (let done = 0; done < bytes.length;) {
      try {
        done += output.writeSync(bytes.subarray(done));
      } catch (error) {
        // A pipe that somebody made non-blocking, and that is full.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        if (patienceMs-- <= 0) throw error;
        Atomics.wait(CELL, 0, 0, 1);
      }
    }
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

let messages: Output | undefined;

/**
 * Standard error. A terminal that nobody reads must not stop all else: it is
 * opened once more to be written to without waiting, if it may be.
 */
function openMessages(): Output {
  if (!Deno.stderr.isTerminal()) return Deno.stderr;
  // Loading it takes 20 ms: not before there is something to say.
  const fs: typeof Fs = process.getBuiltinModule("node:fs");
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  try {
    const flags = O_WRONLY | O_NONBLOCK | O_NOCTTY;
    const fd = fs.openSync("/proc/self/fd/2", flags);
    return { writeSync: (bytes) => fs.writeSync(fd, bytes) };
  } catch {
    return Deno.stderr;
  }
}

/** Writes a line on standard error; when nobody reads it, it is lost. */
export function tell(line: string): void {
  try {
    writeLine(messages ??= openMessages(), line, PATIENCE_MS);
  } catch {
    // Standard error is closed or full: there is nowhere left to say so.
  }
}
