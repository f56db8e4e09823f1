/**
 * What stands where a guest's kernel would.
 *
 * @module
 */

/** What the loop does next. */
export const OUTCOME = {
  /** Enter the guest. */
  run: 0,
  /** Wait for what a system call needs, then try it again. */
  wait: 1,
  /** The program has ended. */
  stop: 2,
  /** The program asked to be saved. */
  save: 3,
  /** Let the event loop have a turn. */
  yield: 4,
  /** The guest computes: run it off-thread. */
  compute: 5,
  /** A device's handler is under way: await it. */
  device: 6,
} as const;

/** One of {@linkcode OUTCOME}'s values. */
export type Outcome = typeof OUTCOME[keyof typeof OUTCOME];

/** What gives the guest's exits their meaning: an operating system's stand-in. */
export interface Personality {
  /** A system call; its registers are in the vCPU's `run.syncRegs`. */
  onSyscall(): Outcome;
  /** An exception; its frame is on the exception stack. */
  onException(vector: number): Outcome;
  /** `in` or `out` on a port that no device claims. */
  onUnclaimedPort(port: number): Outcome;
  /**
   * The program touched a page of a file that the file does not have; whether
   * it could be that.
   */
  onMissingPage(): boolean;
  /** Whether a system call waits. */
  readonly isWaiting: boolean;
  /** Tries the waiting system call again. */
  retry(): Outcome;
  /** Resolves when a retry may succeed, or when `signal` aborts. */
  wait(signal: AbortSignal): Promise<void>;
  /** Answers the program's request to be saved. */
  save(): Promise<Outcome>;
}
