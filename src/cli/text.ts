/**
 * Text on its way to a terminal.
 *
 * @module
 */

export { printable } from "../../mod.ts";

const encoder = new TextEncoder();

/** For waiting a millisecond: nothing ever changes it. */
const CELL = new Int32Array(new SharedArrayBuffer(4));

/** Something to print on: standard output or error. */
export interface Output {
  /** Writes some of `bytes`, and says how many. */
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes a line as a whole.
 *
 * @returns false when nobody reads any more; whoever prints may stop then
 */
export function writeLine(output: Output, line: string): boolean {
  const bytes = encoder.encode(`${line}\n`);
  try {
    for (let done = 0; done < bytes.length;) {
      try {
        done += output.writeSync(bytes.subarray(done));
      } catch (error) {
        // A pipe that somebody made non-blocking, and that is full.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        Atomics.wait(CELL, 0, 0, 1);
      }
    }
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

/** Writes a line on standard error; when nobody reads it, it is lost. */
export function tell(line: string): void {
  try {
    writeLine(Deno.stderr, line);
  } catch {
    // Standard error is closed or full: there is nowhere left to say so.
  }
}
