/**
 * Steps that are over when what they belong to is.
 *
 * @module
 */

/** The end of a connection, which may come while steps are under way. */
export class Ending {
  // One set for all: a handler of a promise for each step would stay with it.
  readonly #waiting = new Set<(reason: unknown) => void>();
  #over: { readonly reason: unknown } | undefined;

  /** Fails the steps under way, and those to come; the first reason counts. */
  end(reason: unknown): void {
    this.#over ??= { reason };
    for (const fail of this.#waiting) fail(this.#over.reason);
    this.#waiting.clear();
  }

  /** `step`, unless the end comes first, after which it may never settle. */
  orEnd<T>(step: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      step.then(resolve, reject).finally(() => this.#waiting.delete(reject));
      if (this.#over) this.end(this.#over.reason);
    });
  }
}
