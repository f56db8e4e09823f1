/**
 * A connection of Deno's in the shape of one of Node's. TLS of Node's that is
 * paused loses the end of its stream (Deno 2.9): it is never paused here, but
 * gets no more bytes for as long as its reader is busy.
 *
 * @module
 */

import type * as Net from "node:net";
import type { Socket } from "node:net";

/** How much is passed on at once. */
const PIECE_BYTES = 64 * 1024;

/**
 * In how many pieces Node sends what a handshake takes: a server's last are the
 * tickets of TLS 1.3, a client's is its answer to the server.
 */
const HANDSHAKE_PIECES = 2;

/** Passes bytes both ways between a connection and a socket of Node's. */
export class Relay {
  /** Node's side: half open when the peer ends. */
  readonly socket: Socket;
  /** Resolves when what the peer sent is on its way to Node, to its end. */
  readonly received: Promise<void>;
  /** Resolves when what Node's side sent has gone out, to its end. */
  readonly sent: Promise<void>;
  /** Resolves when all that a handshake takes of Node has gone out. */
  readonly greeted: Promise<void>;
  readonly #outer: Deno.Conn;
  readonly #inner: Deno.Conn;
  #failure: unknown;
  #isClosed = false;
  #gate: Promise<void> | undefined;
  #open: () => void = () => {};

  private constructor(outer: Deno.Conn, inner: Deno.Conn, socket: Socket) {
    this.socket = socket;
    this.#outer = outer;
    this.#inner = inner;
    const fail = (error: unknown) => {
      if (this.#isClosed || this.#failure !== undefined) return;
      this.#failure = error;
      // Node's side learns of it as of an end, and asks why.
      inner.close();
    };
    const greeted = Promise.withResolvers<void>();
    this.greeted = greeted.promise;
    let pieces = 0;
    this.received = this.#pump(outer, inner, () => this.#gate).catch(fail);
    this.sent = this.#pump(inner, outer, () => {
      // It has passed on the last one when it comes back for the next.
      if (pieces++ === HANDSHAKE_PIECES) greeted.resolve();
      return undefined;
    }).catch(fail);
  }

  /**
   * Begins.
   *
   * @param outer the connection; closing it is this one's matter now
   */
  static async create(outer: Deno.Conn): Promise<Relay> {
    const { connect }: typeof Net = process.getBuiltinModule("node:net");
    try {
      // Only its owner may enter a temporary folder, and it goes at once.
      const folder = await Deno.makeTempDir({ prefix: "image-" });
      const path = `${folder}/s`;
      try {
        using listener = Deno.listen({ transport: "unix", path });
        const socket = connect({ path, allowHalfOpen: true });
        const broken = new Promise<never>((_, reject) =>
          socket.on("error", reject)
        );
        const accepted = listener.accept();
        // Whichever comes too late is of no interest.
        for (const one of [broken, accepted]) one.catch(() => {});
        try {
          const inner = await Promise.race([accepted, broken]);
          return new Relay(outer, inner, socket);
        } catch (error) {
          socket.destroy();
          throw error;
        }
      } finally {
        // One by one: looking into the folder takes a descriptor.
        await Deno.remove(path).catch(() => {});
        await Deno.remove(folder);
      }
    } catch (error) {
      outer.close();
      throw error;
    }
  }

  /** Why the connection broke, if it did. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Passes nothing more on to Node's side, but for what is on its way. */
  pause(): void {
    this.#gate ??= new Promise((resolve) => this.#open = resolve);
  }

  /** Goes on. */
  resume(): void {
    this.#gate = undefined;
    this.#open();
  }

  /** Closes both sides. May be called again. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.resume();
      this.#outer.close();
      if (this.#failure === undefined) this.#inner.close();
      this.socket.destroy();
    }
    await Promise.all([this.received, this.sent]);
  }

  async #pump(
    from: Deno.Conn,
    to: Deno.Conn,
    gate: () => Promise<void> | undefined,
  ): Promise<void> {
    const buffer = new Uint8Array(PIECE_BYTES);
    for (;;) {
      await gate();
      const count = await from.read(buffer);
      if (count === null) return await to.closeWrite();
      for (let done = 0; done < count;) {
        done += await to.write(buffer.subarray(done, count));
      }
    }
  }
}
