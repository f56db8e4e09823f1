/**
 * A TLS server that asks its clients for certificates, by node:tls: Deno's own
 * does not.
 *
 * @module
 */

import type { Server, TlsOptions, TLSSocket } from "node:tls";
import { checkedKeyPair } from "./certificates.ts";
import { endError, TransportError } from "./errors.ts";
import { Guard } from "./guard.ts";
import type { Link } from "./link.ts";
import { NO_TLS, REFUSAL } from "./link_target.ts";
import type { Acceptor, ListenOptions } from "./listen.ts";
import { NodeLink, within } from "./node_link.ts";
import { Relay } from "./relay.ts";
import { nodeTls } from "./tls.ts";

/** For how long one that is turned away may go on sending, in milliseconds. */
const REFUSAL_MS = 1000;

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

/**
 * With how many clients TLS is set up at a time: one that is silent must not
 * keep the others waiting.
 */
const MAX_GREETINGS = 8;

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
  /** How TLS is set up. */
  readonly #how: TlsOptions;
  readonly #asks: boolean;
  readonly #options: ListenOptions;
  /** Setting TLS up with clients: none rejects. */
  readonly #greetings = new Set<Promise<void>>();
  /** Their connections. */
  readonly #relays = new Set<Relay>();
  /** Those who wait to be asked for. */
  readonly #ready: Link[] = [];
  /** Why nobody can connect for now, or whoever was told of a client threw. */
  #failure: { readonly error: unknown } | undefined;
  /** Whether the next client is waited for. */
  #isTaking = false;
  /** Resolves when there may be something new. */
  #news = Promise.withResolvers<void>();
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
    this.#how = {
      ...pair,
      ca: this.#asks ? [...tls.caCerts!] : undefined,
      requestCert: this.#asks,
      // Turned away by us, who say why: Node would only drop the connection.
      rejectUnauthorized: false,
      allowHalfOpen: true,
    };
    // What makes no sense is told now, not with the first client.
    this.#newServer();
  }

  /** Sets TLS up with one client; it listens to nothing itself. */
  #newServer(): Server {
    return nodeTls().createServer(this.#how);
  }

  async accept(): Promise<Link | undefined> {
    while (!this.#isClosed) {
      const link = this.#ready.shift();
      if (link) return link;
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure) throw failure.error;
      const news = this.#news.promise;
      void this.#take();
      await news;
    }
    return undefined;
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#tcp.close();
      this.#tell();
    }
    const links = [...this.#relays, ...this.#ready.splice(0)];
    await Promise.all(links.map((link) => link.close()));
    await Promise.all(this.#greetings);
  }

  /** Has `accept` look again. */
  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** Takes the next client, unless there are enough. */
  async #take(): Promise<void> {
    const clients = this.#greetings.size + this.#ready.length;
    if (this.#isTaking || clients >= MAX_GREETINGS) return;
    this.#isTaking = true;
    try {
      const greeting = this.#greet(await this.#tcp.accept());
      this.#greetings.add(greeting);
      void greeting.then(() => {
        this.#greetings.delete(greeting);
        this.#tell();
      });
    } catch (error) {
      if (!this.#isClosed) this.#failure = { error };
    } finally {
      this.#isTaking = false;
      this.#tell();
    }
  }

  async #greet(conn: Deno.TcpConn): Promise<void> {
    try {
      conn.setNoDelay(true);
      const link = await this.#linkOver(await Relay.create(conn));
      if (link && !this.#isClosed) this.#ready.push(link);
      else await link?.close();
    } catch (error) {
      // One client's failure is no other's.
      if (!this.#isClosed) this.#refuse(endError(this.name, "read", error));
    }
  }

  /** Says who was turned away. */
  #refuse(error: TransportError): void {
    try {
      this.#options.onRefused?.(error);
    } catch (error) {
      this.#failure = { error };
    }
  }

  async #linkOver(relay: Relay): Promise<Link | undefined> {
    this.#relays.add(relay);
    try {
      if (this.#isClosed) {
        await relay.close();
        return undefined;
      }
      const { timeoutMs } = this.#options;
      using guard = new Guard(this.name, { timeoutMs });
      guard.onCancel(() => void relay.close());
      const { socket, link } = await guard.wait("read", this.#secured(relay));
      if (link) return link;
      await this.#turnAway(socket, relay);
      await relay.close();
    } catch (error) {
      // A peer without TLS could take a mere end for a receipt.
      const said = relay.refuse(`${REFUSAL}${NO_TLS}\n`);
      await within(REFUSAL_MS, said);
      await relay.close();
      await said;
      throw error;
    } finally {
      this.#relays.delete(relay);
    }
  }

  /** Sets TLS up; without a link if the certificate is not right. */
  async #secured(relay: Relay): Promise<Secured> {
    const server = this.#newServer();
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
        const { failure } = relay;
        if (failure instanceof Deno.errors.InvalidData) return reject(failure);
        const left = () => reject(failure ?? new Error("the client left"));
        if (!isOver) timer = setTimeout(left, LEFT_MS);
      });
      return await promise;
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** Says why, and reads on for a moment: else the reason might be lost. */
  async #turnAway(socket: TLSSocket, relay: Relay): Promise<void> {
    const reason = reasonFor(socket);
    this.#refuse(
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
