/**
 * An image that comes from a peer.
 *
 * @module
 */

import type { Guard } from "./guard.ts";
import type { ImageOrigin } from "./image_end.ts";

/** What bytes are read from and closed: a connection, a response, a file. */
export interface Reading {
  /** Bytes, the reader's to keep; `undefined` at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** Closes it; what is under way fails. May be called again. */
  close(): Promise<void>;
}

/** Receives an image, as its reader asks for it. */
export class LinkOrigin implements ImageOrigin {
  /** How errors call it. */
  readonly name: string;
  /** The bytes, to the peer's end of the connection. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly #from: Reading;
  readonly #guard: Guard;
  #onClose: () => void = () => {};

  /**
   * @param from what to read; closing it is this one's matter now
   * @param guard for each step
   */
  constructor(from: Reading, guard: Guard) {
    this.name = guard.name;
    this.#from = from;
    this.#guard = guard;
    guard.onCancel(() => void from.close());
    this.readable = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        guard.throwIfAborted();
        try {
          const chunk = await guard.wait("read", from.read());
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        } catch (error) {
          await from.close();
          throw error;
        }
      },
      cancel: () => from.close(),
      // Nothing is read before somebody asks.
    }, { highWaterMark: 0 });
  }

  /** What is to happen once it is closed. */
  onClose(then: () => void): void {
    this.#onClose = then;
  }

  /** Closes the connection. A peer that is at its end learns that it was taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#guard[Symbol.dispose]();
    await this.#from.close();
    this.#onClose();
  }
}
