/**
 * Signals to the command line.
 *
 * @module
 */

/**
 * Those that are answered. Without a listener SIGXFSZ would end the VMM: a
 * write that is too long for `ulimit -f` is to fail with EFBIG.
 */
const ANSWERED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR2",
  "SIGWINCH",
  "SIGXFSZ",
] as const;

/** Those that ask for an end. */
const ENDING: ReadonlySet<string> = new Set([
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
]);

/** What is done about each signal. */
export type Answers = Readonly<
  Partial<Record<typeof ANSWERED[number], () => void>>
>;

/**
 * Listens for signals from the start of a command on; what comes before there
 * is somebody to answer is answered then.
 */
export class Signals implements Disposable {
  /** Whether a signal asked to end. */
  wasInterrupted = false;
  #answers: Answers | undefined;
  readonly #early: (typeof ANSWERED[number])[] = [];
  readonly #listeners = ANSWERED.map((name): [Deno.Signal, () => void] => [
    name,
    () => {
      if (ENDING.has(name)) this.wasInterrupted = true;
      if (this.#answers) this.#answers[name]?.();
      else this.#early.push(name);
    },
  ]);

  /** Begins to listen. */
  constructor() {
    for (const [name, listener] of this.#listeners) {
      Deno.addSignalListener(name, listener);
    }
  }

  /** Says what is to be done from now on. */
  answer(answers: Answers): void {
    this.#answers = answers;
    for (const name of this.#early.splice(0)) answers[name]?.();
  }

  /** Ends listening. */
  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) {
      Deno.removeSignalListener(name, listener);
    }
  }
}
