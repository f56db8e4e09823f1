/**
 * Connections over TCP.
 *
 * @module
 */

import { TransportError } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { DenoLink, type Link } from "./link.ts";

/** Where to connect to. */
export interface Address {
  /** A name or an address, without brackets. */
  readonly hostname: string;
  /** From 1. */
  readonly port: number;
}

/**
 * Connects.
 *
 * @throws {TransportError} END_URL, END_REFUSED, END_TIMEOUT; the signal's
 * reason
 */
export async function connectTcp(to: Address, guard: Guard): Promise<Link> {
  return new DenoLink(await dialTcp(to, guard));
}

/** The same, for TLS to go on from. */
export async function dialTcp(
  { hostname, port }: Address,
  guard: Guard,
): Promise<Deno.TcpConn> {
  checkPort(port, guard.name);
  const canceler = new AbortController();
  guard.onCancel(() => canceler.abort());
  const { signal } = canceler;
  const conn = await guard.wait(
    "connect to",
    closingLate(Deno.connect({ hostname, port, signal }), signal),
  );
  // An image's last byte is a packet of its own, which must not wait.
  conn.setNoDelay(true);
  return conn;
}

/** Port 0 is "any" to a listener, and nothing to a client. */
export function checkPort(port: number, name: string): void {
  if (port !== 0) return;
  throw new TransportError(
    "END_URL",
    `Cannot connect to ${name}: port 0 is for listening only`,
    { end: name },
  );
}

/** Closes a connection that comes when nobody waits for it any more. */
export async function closingLate<C extends Deno.Conn>(
  connecting: Promise<C>,
  signal: AbortSignal,
): Promise<C> {
  const conn = await connecting;
  if (signal.aborted) conn.close();
  return conn;
}
