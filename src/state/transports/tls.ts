/**
 * Connections over TLS.
 *
 * @module
 */

import type * as Tls from "node:tls";
import { checkedKeyPair, type KeyPair } from "./certificates.ts";
import type { Guard } from "./guard.ts";
import type { TlsOptions } from "./image_end.ts";
import { DenoLink, type Link } from "./link.ts";
import { NodeLink } from "./node_link.ts";
import { Relay } from "./relay.ts";
import { type Address, checkPort, closingLate, dialTcp } from "./tcp.ts";

/** node:tls, loaded when it is first used. */
export function nodeTls(): typeof Tls {
  return process.getBuiltinModule("node:tls");
}

/**
 * Connects, and checks the server's certificate. That the server accepts ours
 * is known only from what it does later (TLS 1.3).
 *
 * @throws {TransportError} END_TLS, END_URL, END_REFUSED, END_TIMEOUT; the
 * signal's reason
 */
export async function connectTls(
  to: Address,
  tls: TlsOptions,
  guard: Guard,
): Promise<Link> {
  checkPort(to.port, guard.name);
  const pair = checkedKeyPair(guard.name, tls);
  const { serverName } = tls;
  if (pair && serverName !== undefined) {
    return await connectNode(to, tls, pair, guard);
  }
  const caCerts = [...tls.caCerts ?? []];
  const canceler = new AbortController();
  let connecting: Promise<Deno.TlsConn>;
  if (serverName === undefined) {
    const { hostname, port } = to;
    connecting = Deno.connectTls({ hostname, port, caCerts, ...pair });
  } else {
    const tcp = await dialTcp(to, guard);
    connecting = Deno.startTls(tcp, { hostname: serverName, caCerts });
  }
  guard.onCancel(() => canceler.abort());
  const conn = await guard.wait(
    "connect to",
    closingLate(connecting, canceler.signal),
  );
  const link = new DenoLink(conn);
  guard.onCancel(() => void link.close());
  try {
    await guard.wait("connect to", conn.handshake());
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** Deno's own cannot show a certificate and expect another name than the host. */
async function connectNode(
  to: Address,
  { caCerts, serverName }: TlsOptions,
  pair: KeyPair,
  guard: Guard,
): Promise<Link> {
  const { connect, rootCertificates } = nodeTls();
  const relay = await Relay.create(await dialTcp(to, guard));
  const socket = connect({
    socket: relay.socket,
    servername: serverName,
    ...pair,
    ca: [...rootCertificates, ...caCerts ?? []],
    // Node's types lack it here; its sockets have it.
    allowHalfOpen: true,
  } as Tls.ConnectionOptions);
  const link = new NodeLink(socket, relay);
  guard.onCancel(() => void link.close());
  const secured = new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
    socket.once(
      "close",
      () => reject(relay.failure ?? new Error("the peer closed it")),
    );
  });
  try {
    await guard.wait("connect to", secured);
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}
