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
  "SIGTSTP",
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
 * is somebody to answer it is answered then, once.
 */
export class Signals implements Disposable {
  /** Whether a signal asked to end. */
  wasInterrupted = false;
  #answers: Answers | undefined;
  readonly #early = new Set<typeof ANSWERED[number]>();
  readonly #listeners = ANSWERED.map((name): [Deno.Signal, () => void] => [
    name,
    () => {
      if (ENDING.has(name)) this.wasInterrupted = true;
      const answer = this.#answers?.[name];
      if (answer) answer();
      else this.#early.add(name);
    },
  ]);

  /** Begins to listen. */
  constructor() {
    for (const [name, listener] of this.#listeners) {
      Deno.addSignalListener(name, listener);
    }
  }

  /** Says what is to be done from now on; what is not there waits for its answer. */
  answer(answers: Answers): void {
    this.#answers = answers;
    for (const name of [...this.#early]) {
      const answer = answers[name];
      if (!answer) continue;
      this.#early.delete(name);
      answer();
    }
  }

  /** Ends listening. */
  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) {
      Deno.removeSignalListener(name, listener);
    }
  }
}
