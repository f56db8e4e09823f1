/**
 * A connection of Node's modules: those can do what Deno's TLS cannot.
 *
 * @module
 */

import type { Readable, Writable } from "node:stream";
import type { Socket } from "node:net";
import type { Link } from "./link.ts";

/** How long a peer has to take a goodbye, in milliseconds. */
const GOODBYE_MS = 1000;

/** A socket of node:net or node:tls, half open when the peer ends. */
export class NodeLink implements Link {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #closed: Promise<void>;
  #hasEnded = false;
  #error: Error | undefined;

  /**
   * @param socket the connection, made with `allowHalfOpen`; closing it is
   * this one's matter now
   */
  constructor(socket: Socket) {
    this.#socket = socket;
    // Without a listener an error would end the process.
    socket.on("error", (error) => this.#error ??= error);
    this.#closed = new Promise((resolve) => {
      if (socket.closed) resolve();
      else socket.once("close", () => resolve());
    });
    this.#chunks = chunksOf(socket);
  }

  /** Bytes that came; `undefined` at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#chunks.next();
    if (!done) return plain(value);
    this.#hasEnded = true;
    if (this.#error) throw this.#error;
    return undefined;
  }

  /** Sends all of `chunk`. */
  write(chunk: Uint8Array): Promise<void> {
    return this.#orClosed(writeTo(this.#socket, chunk));
  }

  /** Says that nothing more will be sent. */
  closeWrite(): Promise<void> {
    return this.#orClosed(
      new Promise((resolve) => this.#socket.end(() => resolve())),
    );
  }

  /** Closes it, with a goodbye if the peer has said one. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (this.#hasEnded && !socket.destroyed) {
      await within(GOODBYE_MS, this.closeWrite());
    }
    socket.destroy();
    await this.#closed;
  }

  /** `step`, unless the socket goes first and never calls back. */
  #orClosed(step: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      step.then(resolve, reject);
      void this.#closed.then(() =>
        reject(this.#error ?? new Deno.errors.BrokenPipe("it is closed"))
      );
    });
  }
}

/** The chunks of a readable, which is left as it is at its end. */
export function chunksOf(readable: Readable): AsyncIterator<Uint8Array> {
  return readable.iterator({ destroyOnReturn: false });
}

/** The same bytes, without what Node adds to arrays of them. */
export function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
}

/** Resolves when `chunk` may be used again. */
export function writeTo(to: Writable, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    to.write(chunk, (error) => error ? reject(error) : resolve())
  );
}

/** Waits for `step` to end in one way or another, but no longer than `ms`. */
export function within(ms: number, step: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    step.then(end, end);
  });
}
