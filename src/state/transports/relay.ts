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

/** Types of TLS records that a peer can begin with (RFC 8446, 5.1). */
const FIRST_RECORDS = { alert: 21, handshake: 22 } as const;

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
  /** Whether any of the peer's bytes came. */
  #hasHeard = false;
  /** Whether any of Node's went out. */
  #hasSpoken = false;
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
    try {
      const { inner, socket } = await socketPair();
      // What came before Node's TLS is there would be buffered, which crashes
      // the process if it is no TLS (Deno 2.9): nothing is awaited from here.
      return new Relay(outer, inner, socket);
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

  /**
   * Ends Node's side, and if that said nothing to the peer says `text` as it
   * is; reads on until the peer ends or this is closed: else it might be lost.
   */
  async refuse(text: string): Promise<void> {
    // Where Node has a reason of its own, it has sent it.
    this.socket.destroy();
    await this.sent;
    if (this.#hasSpoken || this.#isClosed) return;
    try {
      const outer = this.#outer;
      await outer.write(new TextEncoder().encode(text));
      await outer.closeWrite();
      await this.received;
      const rest = new Uint8Array(PIECE_BYTES);
      while (await outer.read(rest) !== null);
    } catch {
      // It left.
    }
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

  /** Of a peer without TLS Node gets nothing: it may answer with an alert. */
  #checkFirst(type: number): void {
    if (this.#hasHeard) return;
    this.#hasHeard = true;
    const { alert, handshake } = FIRST_RECORDS;
    if (type === alert || type === handshake) return;
    throw new Deno.errors.InvalidData("it speaks no TLS");
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
      if (count === null) break;
      if (from === this.#outer) this.#checkFirst(buffer[0]);
      for (let done = 0; done < count;) {
        done += await to.write(buffer.subarray(done, count));
      }
      if (to === this.#outer) this.#hasSpoken = true;
    }
    // A peer that was told nothing is not to take the end for an answer.
    if (to === this.#inner || this.#hasSpoken) await to.closeWrite();
  }
}

/** Two ends of a connection: Deno's and Node's. */
async function socketPair(): Promise<{ inner: Deno.Conn; socket: Socket }> {
  const { connect }: typeof Net = process.getBuiltinModule("node:net");
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
    broken.catch(() => {}); // what comes too late is of no interest
    try {
      return { inner: await Promise.race([accepted, broken]), socket };
    } catch (error) {
      socket.destroy();
      accepted.then((inner) => inner.close(), () => {});
      throw error;
    }
  } finally {
    // One by one: looking into the folder takes a descriptor.
    await Deno.remove(path).catch(() => {});
    await Deno.remove(folder);
  }
}
