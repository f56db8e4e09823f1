/**
 * A connection with Node's TLS, which can do what Deno's cannot.
 *
 * @module
 */

import type { Readable, Writable } from "node:stream";
import type { TLSSocket } from "node:tls";
import { Ending } from "./ending.ts";
import type { Link } from "./link.ts";
import type { Relay } from "./relay.ts";

/** How long a peer has to take a goodbye, in milliseconds. */
const GOODBYE_MS = 1000;

/** How long Node may take for the end of its handshake, in milliseconds. */
const GREETED_MS = 500;

/** How much may wait for the reader before the relay is paused. */
const MAX_QUEUED_BYTES = 1024 * 1024;

/** A socket of node:tls, behind a relay. */
export class NodeLink implements Link {
  readonly #socket: TLSSocket;
  readonly #relay: Relay;
  readonly #ending = new Ending();
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #hasEnded = false;
  #isClosed = false;
  #error: unknown;
  #wake: () => void = () => {};

  /**
   * @param socket made with `allowHalfOpen`, and not read from yet
   * @param relay what is below it; closing both is this one's matter now
   */
  constructor(socket: TLSSocket, relay: Relay) {
    this.#socket = socket;
    this.#relay = relay;
    socket.on("error", (error) => {
      this.#error ??= error;
      this.#wake();
    });
    socket.on("data", (chunk: Uint8Array) => {
      this.#queue.push(plain(chunk));
      this.#queuedBytes += chunk.length;
      if (this.#queuedBytes > MAX_QUEUED_BYTES) relay.pause();
      this.#wake();
    });
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    socket.once("close", () => this.#onClose());
  }

  /** Bytes that came; `undefined` at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk) {
        this.#queuedBytes -= chunk.length;
        if (this.#queuedBytes <= MAX_QUEUED_BYTES) this.#relay.resume();
        return chunk;
      }
      const failure = this.#error ?? this.#relay.failure;
      if (failure !== undefined) throw failure;
      if (this.#hasEnded) return undefined;
      if (this.#isClosed) throw closedError();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Sends all of `chunk`. */
  write(chunk: Uint8Array): Promise<void> {
    return this.#ending.orEnd(writeTo(this.#socket, chunk));
  }

  /** Says that nothing more will be sent. */
  closeWrite(): Promise<void> {
    return this.#ending.orEnd(
      new Promise((resolve) => this.#socket.end(() => resolve())),
    );
  }

  /** Closes it, with a goodbye if the peer has said one. */
  async close(): Promise<void> {
    if (this.#hasEnded && !this.#socket.destroyed) {
      // Node sends no goodbye while it still owes tickets (Deno 2.9).
      await within(GREETED_MS, this.#relay.greeted);
      this.#socket.end();
      await within(GOODBYE_MS, this.#relay.sent);
    }
    this.#socket.destroy();
    await this.#relay.close();
    // Node says nothing of a socket that goes before its TLS was set up.
    this.#onClose();
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#ending.end(this.#error ?? this.#relay.failure ?? closedError());
    this.#wake();
  }
}

function closedError(): Error {
  return new Deno.errors.BrokenPipe("it is closed");
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
