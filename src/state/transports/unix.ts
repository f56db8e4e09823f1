/**
 * Connections over Unix sockets.
 *
 * @module
 */

import { endError, TransportError } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { DenoLink, type Link } from "./link.ts";
import { closingLate } from "./tcp.ts";

/**
 * Connects to the socket at `path`.
 *
 * @throws {TransportError} END_REFUSED, END_TIMEOUT; the signal's reason
 */
export async function connectUnix(path: string, guard: Guard): Promise<Link> {
  const canceler = new AbortController();
  guard.onCancel(() => canceler.abort());
  const connecting = Deno.connect({ transport: "unix", path });
  return new DenoLink(
    await guard.wait("connect to", closingLate(connecting, canceler.signal)),
  );
}

/**
 * Listens at `path`, for this user alone; closing the listener removes it. The
 * socket of a listener that is gone is replaced, nothing else is.
 *
 * @throws {TransportError} END_IO
 */
export async function listenUnix(
  path: string,
  name: string,
): Promise<Deno.UnixListener> {
  let listener: Deno.UnixListener | undefined;
  try {
    await removeStale(path, name);
    listener = Deno.listen({ transport: "unix", path });
    await Deno.chmod(path, 0o600);
    return listener;
  } catch (cause) {
    listener?.close();
    throw endError(name, "listen on", cause);
  }
}

/** Removes a socket that nobody listens on. */
async function removeStale(path: string, name: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (!info.isSocket) {
    throw new TransportError(
      "END_IO",
      `Cannot listen on ${name}: there is a file that is no socket`,
      { end: name, hint: "name another path, or remove it" },
    );
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    await Deno.remove(path);
    return;
  }
  throw new TransportError(
    "END_IO",
    `Cannot listen on ${name}: another process listens there`,
    { end: name },
  );
}
