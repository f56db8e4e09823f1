/**
 * What a stage is, and how all stages are made.
 *
 * @module
 */

/**
 * What stands between a stream of bytes and its sink: `readable` gives what
 * became of the bytes that `writable` took. It is for `pipeThrough`.
 */
export type Stage = ReadableWritablePair<Uint8Array, Uint8Array>;

/**
 * Hands bytes to the stage's reader; empty ones are dropped. One call at a
 * time; rejects with the reason when the stage failed meanwhile.
 */
export type Emit = (chunk: Uint8Array) => Promise<void>;

/** What a stage does; calls do not overlap, but for `fail`. */
export interface StageWork {
  /** Takes a chunk, and is done with it when this resolves. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** There are no more chunks. */
  close?(): void | Promise<void>;
  /**
   * The stage ends early, whatever the reason: what it holds is let go, and
   * what waits, wakes. Called at most once, and not after `close` resolved.
   */
  fail?(reason: unknown): void | Promise<void>;
}

/** How a stage is made. */
export interface StageOptions {
  /**
   * How many chunks may wait for the reader. With 0, a write resolves only when
   * the reader asks for what comes next. A sink that asks for the next chunk
   * when it is done with the last one (as `pipeTo` does) then never sees memory
   * that is used again by whoever writes: what hands chunks on unchanged needs
   * that. With 1, the stage works while the sink does.
   */
  readonly chunksAhead: 0 | 1;
  /** Ends the stage early, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a stage. A TransformStream would not do: it queues whatever one chunk
 * becomes, however much that is.
 *
 * @param start makes what the stage does from the function that hands on
 */
export function makeStage(
  start: (emit: Emit) => StageWork,
  options: StageOptions,
): Stage {
  const machine = new StageMachine(start, options);
  return { readable: machine.readable, writable: machine.writable };
}

/** Someone who waits for the reader to ask for more. */
type Waiter = Pick<PromiseWithResolvers<void>, "resolve" | "reject">;

class StageMachine {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly #work: StageWork;
  readonly #signal: AbortSignal | undefined;
  readonly #onSignal = () => this.#fail(this.#signal?.reason);
  #out!: ReadableStreamDefaultController<Uint8Array>;
  #in!: WritableStreamDefaultController;
  #waiter: Waiter | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #closed = false;
  /** What the work's `fail` has still to do. */
  #failing: Promise<void> = Promise.resolve();

  constructor(start: (emit: Emit) => StageWork, options: StageOptions) {
    this.#signal = options.signal;
    this.#work = start((chunk) => this.#emit(chunk));
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#out = controller),
      pull: () => this.#waiter?.resolve(),
      cancel: (reason) => this.#fail(reason),
    }, { highWaterMark: options.chunksAhead });
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#in = controller;
        // A write that waits would keep `abort` waiting: the signal comes first.
        controller.signal.addEventListener(
          "abort",
          () => this.#fail(controller.signal.reason, "writable"),
        );
      },
      write: (chunk) => this.#guard(() => this.#write(chunk)),
      close: () => this.#guard(() => this.#close()),
      abort: (reason) => this.#fail(reason),
    });
    if (this.#signal?.aborted) this.#onSignal();
    this.#signal?.addEventListener("abort", this.#onSignal);
  }

  async #emit(chunk: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure.reason;
    if (chunk.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Before the chunk is there: that may be when the reader asks for more.
    this.#waiter = { resolve, reject };
    this.#out.enqueue(chunk);
    if (this.#out.desiredSize! <= 0) await promise;
    this.#waiter = undefined;
  }

  #write(chunk: Uint8Array): void | Promise<void> {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError("Cannot pass on a chunk: it is no Uint8Array");
    }
    if (chunk.length > 0) return this.#work.write(chunk);
  }

  async #close(): Promise<void> {
    await this.#work.close?.();
    if (this.#failure) throw this.#failure.reason;
    this.#closed = true;
    this.#signal?.removeEventListener("abort", this.#onSignal);
    this.#out.close();
  }

  async #guard(step: () => void | Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      void this.#fail(error);
    }
    // Whatever came first is the reason; what followed from it is not.
    if (this.#failure) throw this.#failure.reason;
  }

  /** @param by which side is failing by itself already */
  #fail(reason: unknown, by?: "writable"): Promise<void> {
    if (this.#failure || this.#closed) return this.#failing;
    this.#failure = { reason };
    this.#signal?.removeEventListener("abort", this.#onSignal);
    this.#waiter?.reject(reason);
    this.#out.error(reason);
    if (by !== "writable") this.#in.error(reason);
    this.#failing = (async () => await this.#work.fail?.(reason))()
      // The pipeline has its reason already.
      .catch(() => {});
    return this.#failing;
  }
}
