/**
 * A TLS server that asks its clients for certificates, by node:tls: Deno's own
 * does not.
 *
 * @module
 */

import type { AddressInfo, Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { checkedKeyPair } from "./certificates.ts";
import { endError, TransportError } from "./errors.ts";
import { Guard } from "./guard.ts";
import type { Link } from "./link.ts";
import { REFUSAL } from "./link_target.ts";
import type { Acceptor, ListenOptions } from "./listen.ts";
import { NodeLink, within } from "./node_link.ts";
import { nodeTls } from "./tls.ts";

/** How many connections there may be at once; more are dropped. */
const MAX_CONNECTIONS = 16;

/** For how long one that is turned away may go on sending, in milliseconds. */
const REFUSAL_MS = 1000;

/** For how long a client may take to say hello when nobody says. */
const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Listens.
 *
 * @param name of the end, with its port
 * @throws {TransportError} END_TLS, END_IO, END_TIMEOUT
 */
export async function listenTls(
  { hostname, port }: { hostname: string; port: number },
  name: string,
  options: ListenOptions,
): Promise<Acceptor> {
  const { tls = {}, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const pair = checkedKeyPair(name, tls);
  if (!pair) {
    throw new TransportError(
      "END_TLS",
      `Cannot listen on ${name}: a server needs a certificate and its key`,
      { end: name, hint: "give tls.cert and tls.key" },
    );
  }
  const asks = (tls.caCerts?.length ?? 0) > 0;
  const server = nodeTls().createServer({
    ...pair,
    ca: asks ? [...tls.caCerts!] : undefined,
    requestCert: asks,
    // Turned away by us, who say why: Node would only drop the connection.
    rejectUnauthorized: false,
    allowHalfOpen: true,
    // 0 is for ever.
    handshakeTimeout: timeoutMs || 2 ** 31 - 1,
  });
  server.maxConnections = MAX_CONNECTIONS;
  const acceptor = new TlsAcceptor(server, asks, name, options);
  using guard = new Guard(name, options);
  const listening = new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  try {
    await guard.wait("listen on", listening);
  } catch (error) {
    await acceptor.close();
    throw error;
  }
  acceptor.name = name.replace(
    /\d+$/,
    `${(server.address() as AddressInfo).port}`,
  );
  return acceptor;
}

/** The connections whose certificates are right, in order. */
class TlsAcceptor implements Acceptor {
  name: string;
  readonly #server: Server;
  readonly #asks: boolean;
  readonly #onRefused: (error: TransportError) => void;
  /** Connections that nobody asked for yet. */
  readonly #queue: Link[] = [];
  /** Connections that are being turned away. */
  readonly #leaving = new Set<Promise<void>>();
  /** TCP connections whose TLS is not set up yet, by the peer's address. */
  readonly #greeting = new Map<string, Socket>();
  /** How many that were set up are open. */
  #taken = 0;
  /** Wakes who waits for a connection. */
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  #isClosed = false;

  constructor(
    server: Server,
    asks: boolean,
    name: string,
    { onRefused = () => {} }: ListenOptions,
  ) {
    this.name = name;
    this.#server = server;
    this.#asks = asks;
    this.#onRefused = onRefused;
    server.on("error", (error) => {
      this.#failure = error;
      this.#wake?.();
    });
    server.on("connection", (socket) => {
      const key = keyOf(socket);
      this.#greeting.set(key, socket);
      socket.once("close", () => this.#greeting.delete(key));
    });
    server.on("secureConnection", (socket) => this.#take(socket));
    server.on("tlsClientError", (error) => {
      this.#onRefused(endError(this.name, "read", error));
    });
  }

  async accept(): Promise<Link | undefined> {
    for (;;) {
      if (this.#isClosed) return undefined;
      if (this.#failure) throw this.#failure;
      const link = this.#queue.shift();
      if (link) return link;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wake?.();
    const closed = new Promise<void>((resolve) =>
      this.#server.close(() => resolve())
    );
    await Promise.all(this.#queue.map((link) => link.close()));
    for (const socket of this.#greeting.values()) socket.destroy();
    await Promise.all(this.#leaving);
    // One that was taken is its taker's, and is waited for by nobody here.
    if (this.#taken === 0) await closed;
  }

  #take(socket: TLSSocket): void {
    this.#greeting.delete(keyOf(socket));
    this.#taken++;
    socket.once("close", () => this.#taken--);
    socket.setNoDelay(true);
    if (this.#isClosed) return void socket.destroy();
    if (this.#asks && !socket.authorized) {
      const leaving = this.#turnAway(socket);
      this.#leaving.add(leaving);
      void leaving.then(() => this.#leaving.delete(leaving));
      return;
    }
    this.#queue.push(new NodeLink(socket));
    this.#wake?.();
  }

  /** Says why, and reads on for a moment: else the reason might be lost. */
  async #turnAway(socket: TLSSocket): Promise<void> {
    const reason = reasonFor(socket);
    this.#onRefused(
      new TransportError(
        "END_TLS",
        `Cannot read ${this.name}: the client's certificate is refused: ${reason}`,
        { end: this.name },
      ),
    );
    socket.on("error", () => {});
    const closed = new Promise<void>((resolve) =>
      socket.once("close", () => resolve())
    );
    const ended = new Promise<void>((resolve) =>
      socket.once("end", () => resolve())
    );
    socket.resume();
    socket.end(`${REFUSAL}${reason}\n`);
    await within(REFUSAL_MS, Promise.race([ended, closed]));
    socket.destroy();
    await closed;
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Why a certificate is refused, in words. */
function reasonFor(socket: TLSSocket): string {
  const { valid_from: from, valid_to: to } = socket.getPeerCertificate() ?? {};
  if (to === undefined) return "there is none";
  if (Date.parse(to) < Date.now()) return `it expired: ${to}`;
  if (Date.parse(from) > Date.now()) return `it is not valid yet: ${from}`;
  return `nobody who is trusted vouches for it (${socket.authorizationError})`;
}
