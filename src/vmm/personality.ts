/**
 * What stands where a guest's kernel would.
 *
 * @module
 */

/** What the loop does next. */
export const OUTCOME = {
  /** Enter the guest. */
  run: 0,
  /** Wait until the program can go on. */
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
  /**
   * `in` or `out` on a port that no device claims.
   *
   * @param isOver whether KVM is done with it; if not, it cannot be gone on
   * from: what is left of a long one would be done first
   */
  onUnclaimedPort(isOver: boolean): Outcome;
  /**
   * The program touched a page of a file that the file does not have: what to do
   * then; `undefined` when it cannot be that.
   */
  onMissingPage(): Outcome | undefined;
  /** What to do first, when the machine begins to run or goes on. */
  begin(): Outcome;
  /**
   * Waits until the program can go on, or `signal` aborts: what to do then;
   * `wait` when it still cannot.
   */
  next(signal: AbortSignal): Promise<Outcome>;
  /** Whether somebody else than who runs now can go on. */
  readonly hasReady: boolean;
  /**
   * Calls `onReady` when somebody else can, until what is returned is called.
   */
  watch(onReady: () => void): () => void;
  /** Who runs has had its turn, and the event loop one: what to do now. */
  turn(): Outcome;
  /** Waits for nothing any more: the machine is to be paused, or has ended. */
  rest(): Promise<void>;
  /** Answers the program's request to be saved. */
  save(): Promise<Outcome>;
}
