/**
 * A TLS server that asks its clients for certificates, by node:tls: Deno's own
 * does not.
 *
 * @module
 */

import type { TlsOptions, TLSSocket } from "node:tls";
import { checkedKeyPair } from "./certificates.ts";
import { endError, TransportError } from "./errors.ts";
import { Guard } from "./guard.ts";
import type { Link } from "./link.ts";
import { REFUSAL } from "./link_target.ts";
import type { Acceptor, ListenOptions } from "./listen.ts";
import { NodeLink, within } from "./node_link.ts";
import { Relay } from "./relay.ts";
import { nodeTls } from "./tls.ts";

/** For how long one that is turned away may go on sending, in milliseconds. */
const REFUSAL_MS = 1000;

/**
 * How many connections are taken whose TLS is not set up, or that nobody has
 * asked for yet: one that is silent holds no other up, and many cost little.
 */
const MAX_HELD = 8;

/** How long Node may take for what a client sent last, in milliseconds. */
const LEFT_MS = 500;

/**
 * Takes TCP connections further.
 *
 * @param tcp what takes them; closing it is the other's matter now
 * @throws {TransportError} END_TLS for certificates that make no sense
 */
export function acceptTls(
  tcp: Deno.TcpListener,
  name: string,
  options: ListenOptions,
): Acceptor {
  return new TlsAcceptor(tcp, name, options);
}

/** A connection whose TLS is set up. */
interface Secured {
  readonly socket: TLSSocket;
  /** Absent when the certificate is not right. */
  readonly link?: NodeLink;
}

/** Gives the connections whose certificates are right. */
class TlsAcceptor implements Acceptor {
  readonly name: string;
  readonly #tcp: Deno.TcpListener;
  readonly #server: TlsOptions;
  readonly #asks: boolean;
  readonly #options: ListenOptions;
  /** The connections whose TLS is being set up. */
  readonly #greeting = new Set<Relay>();
  /** What is under way, from the kernel's connection on. */
  readonly #tasks = new Set<Promise<void>>();
  /** What was set up and not asked for yet. */
  readonly #ready: Link[] = [];
  /** Whether the next connection is waited for. */
  #isTaking = false;
  /** Why none could be taken from the kernel. */
  #failure: { readonly cause: unknown } | undefined;
  #changed = Promise.withResolvers<void>();
  #isClosed = false;

  constructor(tcp: Deno.TcpListener, name: string, options: ListenOptions) {
    const { tls = {} } = options;
    const pair = checkedKeyPair(name, tls);
    if (!pair) {
      throw new TransportError(
        "END_TLS",
        `Cannot listen on ${name}: a server needs a certificate and its key`,
        { end: name, hint: "give tls.cert and tls.key" },
      );
    }
    this.name = name;
    this.#tcp = tcp;
    this.#options = options;
    this.#asks = (tls.caCerts?.length ?? 0) > 0;
    this.#server = {
      ...pair,
      ca: this.#asks ? [...tls.caCerts!] : undefined,
      requestCert: this.#asks,
      // Turned away by us, who say why: Node would only drop the connection.
      rejectUnauthorized: false,
      allowHalfOpen: true,
    };
    // What makes no sense is found at once.
    nodeTls().createServer(this.#server);
  }

  async accept(): Promise<Link | undefined> {
    while (!this.#isClosed) {
      const link = this.#ready.shift();
      if (link) return link;
      if (this.#failure) {
        const { cause } = this.#failure;
        this.#failure = undefined;
        throw cause;
      }
      this.#takeNext();
      await this.#changed.promise;
    }
    return undefined;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tcp.close();
    this.#wake();
    const held = [...this.#greeting, ...this.#ready.splice(0)];
    await Promise.all(held.map((one) => one.close()));
    await Promise.all(this.#tasks);
  }

  /** Has all that wait look again. */
  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Waits for one more connection, if there is room for it. */
  #takeNext(): void {
    if (this.#isTaking) return;
    if (this.#tasks.size + this.#ready.length >= MAX_HELD) return;
    this.#isTaking = true;
    const task = this.#take().then(() => {
      this.#tasks.delete(task);
      this.#wake();
    });
    this.#tasks.add(task);
  }

  /** Takes a connection, and sets its TLS up. */
  async #take(): Promise<void> {
    let conn: Deno.TcpConn;
    try {
      conn = await this.#tcp.accept();
    } catch (cause) {
      if (!this.#isClosed) this.#failure = { cause };
      return;
    } finally {
      this.#isTaking = false;
      // Another may come while this one's TLS is set up.
      this.#wake();
    }
    try {
      conn.setNoDelay(true);
      const link = await this.#greet(await Relay.create(conn));
      if (this.#isClosed) await link?.close();
      else if (link) this.#ready.push(link);
    } catch (error) {
      // One client's failure is no other's.
      if (!this.#isClosed) {
        this.#options.onRefused?.(endError(this.name, "read", error));
      }
    }
  }

  async #greet(relay: Relay): Promise<Link | undefined> {
    this.#greeting.add(relay);
    try {
      // Closed before this one was there to be closed with it.
      if (this.#isClosed) return void await relay.close();
      const { timeoutMs } = this.#options;
      using guard = new Guard(this.name, { timeoutMs });
      guard.onCancel(() => void relay.close());
      const { socket, link } = await guard.wait("read", this.#secured(relay));
      if (link) return link;
      await this.#turnAway(socket, relay);
      await relay.close();
    } catch (error) {
      await relay.close();
      throw error;
    } finally {
      this.#greeting.delete(relay);
    }
  }

  /** Sets TLS up; without a link if the certificate is not right. */
  async #secured(relay: Relay): Promise<Secured> {
    // Its own: which socket is whose is plain then. It listens to nothing.
    const server = nodeTls().createServer(this.#server);
    const { promise, resolve, reject } = Promise.withResolvers<Secured>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    try {
      server.once("secureConnection", (socket) => {
        const isRight = !this.#asks || socket.authorized;
        // At once: what came before anybody listens would stay unread.
        const link = isRight ? new NodeLink(socket, relay) : undefined;
        if (!link) socket.resume();
        resolve({ socket, link });
      });
      server.once("tlsClientError", reject);
      server.emit("connection", relay.socket);
      // Node does not always say that a client left instead.
      void relay.received.then(() => {
        const left = () =>
          reject(relay.failure ?? new Error("the client left"));
        if (!isOver) timer = setTimeout(left, LEFT_MS);
      });
      return await promise;
    } finally {
      isOver = true;
      clearTimeout(timer);
      server.removeAllListeners("secureConnection");
      server.removeAllListeners("tlsClientError");
    }
  }

  /** Says why, and reads on for a moment: else the reason might be lost. */
  async #turnAway(socket: TLSSocket, relay: Relay): Promise<void> {
    const reason = reasonFor(socket);
    this.#options.onRefused?.(
      new TransportError(
        "END_TLS",
        `Cannot read ${this.name}: the client's certificate is refused: ${reason}`,
        { end: this.name },
      ),
    );
    socket.on("error", () => {});
    const ended = new Promise<void>((resolve) => {
      socket.once("end", resolve);
      socket.once("close", () => resolve());
    });
    socket.end(`${REFUSAL}${reason}\n`);
    await within(REFUSAL_MS, Promise.all([ended, relay.sent]));
    socket.destroy();
  }
}

/** Why a certificate is refused, in words. */
function reasonFor(socket: TLSSocket): string {
  const { valid_from: from, valid_to: to } = socket.getPeerCertificate() ?? {};
  if (to === undefined) return "there is none";
  if (Date.parse(to) < Date.now()) return `it expired: ${to}`;
  if (Date.parse(from) > Date.now()) return `it is not valid yet: ${from}`;
  return `nobody who is trusted vouches for it (${socket.authorizationError})`;
}
