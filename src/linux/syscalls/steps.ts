/**
 * Calls that would take long, in steps: the event loop has a turn between two,
 * so that the program can be paused and saved in the middle of one.
 *
 * @module
 */

import type { IoVector } from "../../devices/mod.ts";
import type { Linux } from "../linux.ts";
import { STEP_BYTES } from "../user_memory.ts";

/** Cuts I/O to one step; returns whether that left something out. */
export function limitToStep(io: IoVector): boolean {
  if (io.lengthBytes <= STEP_BYTES) return false;
  io.limit(STEP_BYTES);
  return true;
}

/**
 * Makes the call go on after a turn of the event loop: as one that waits, for a
 * time that has come already.
 *
 * @param doneBytes bytes that were moved so far
 * @returns what the handler then answers
 */
export function nextStep(linux: Linux, doneBytes: number): number {
  return linux.waitFor({ deadlineNs: 0, doneBytes });
}
