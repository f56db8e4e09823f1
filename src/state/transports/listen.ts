/**
 * Waiting for images that peers send.
 *
 * @module
 */

import { endError, type TransportError } from "./errors.ts";
import { type End, parseEnd } from "./end_url.ts";
import { Guard } from "./guard.ts";
import type { EndOptions, ImageOrigin } from "./image_end.ts";
import { DenoLink, type Link } from "./link.ts";
import { LinkOrigin } from "./link_origin.ts";
import { notConnected } from "./open.ts";
import { acceptTls } from "./tls_listen.ts";
import { listenUnix } from "./unix.ts";

/** How to listen. */
export interface ListenOptions extends EndOptions {
  /**
   * Told of a peer that was turned away because of its certificate, or
   * because it speaks no TLS. The listener goes on.
   */
  readonly onRefused?: (error: TransportError) => void;
}

/** What connections come in by. */
export interface Acceptor {
  /** How errors call it, with the port that it got. */
  readonly name: string;
  /** The next connection; `undefined` once it is closed. */
  accept(): Promise<Link | undefined>;
  /** Stops listening. May be called again. */
  close(): Promise<void>;
}

/** Gives the images that peers send, one after the other. */
export class OriginListener
  implements AsyncIterable<ImageOrigin>, AsyncDisposable {
  /** Where it listens: a URL, with the port that it got when asked for 0. */
  readonly name: string;
  readonly #acceptor: Acceptor;
  readonly #options: ListenOptions;
  #isClosed = false;

  /** Use {@linkcode listenOrigin}. */
  constructor(acceptor: Acceptor, options: ListenOptions) {
    this.name = acceptor.name;
    this.#acceptor = acceptor;
    this.#options = options;
    options.signal?.addEventListener("abort", this.#onAbort);
  }

  /**
   * The images, one at a time: when the next is asked for, the last is
   * disposed of. Others that connect meanwhile wait. It ends when the listener
   * is closed.
   *
   * @throws {TransportError} END_IO; the signal's reason
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ImageOrigin, void, void> {
    const { signal } = this.#options;
    for (;;) {
      signal?.throwIfAborted();
      let link: Link | undefined;
      try {
        link = await this.#acceptor.accept();
      } catch (cause) {
        signal?.throwIfAborted();
        throw endError(this.name, "listen on", cause);
      }
      if (link === undefined) break;
      if (signal?.aborted) await link.close();
      signal?.throwIfAborted();
      await using origin = new LinkOrigin(
        link,
        new Guard(this.name, this.#options),
      );
      yield origin;
    }
    signal?.throwIfAborted();
  }

  /** Stops listening; an image that is under way goes on. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    await this.#acceptor.close();
  }

  /** Stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #onAbort = (): void => void this.close();
}

/**
 * Listens for peers that send images.
 *
 * @param where `tcp://HOST:PORT`, `tls://HOST:PORT` (with a certificate and
 * its key) or `unix:PATH`; port 0 takes one that is free
 * @throws {TransportError} END_URL, END_IO, END_TLS; the signal's reason
 *
 * @example Take one image
 * ```ts
 * import { listenOrigin, openTarget } from "@scratchvm/scratchvm";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenOrigin("tcp://127.0.0.1:0");
 * const sent = (async () => {
 *   await using target = await openTarget(listener.name);
 *   await target.write(Uint8Array.of(1, 2, 3));
 *   await target.commit();
 * })();
 * for await (const origin of listener) {
 *   assertEquals(await new Response(origin.readable).bytes(),
 *     Uint8Array.of(1, 2, 3));
 *   break;
 * }
 * await sent;
 * ```
 */
export async function listenOrigin(
  where: string | URL,
  options: ListenOptions = {},
): Promise<OriginListener> {
  const acceptor = await listenConnections(where, options);
  return new OriginListener(acceptor, options);
}

/**
 * Listens for peers that are talked with, rather than send an image.
 *
 * @param where as for {@linkcode listenOrigin}
 * @throws {TransportError} as {@linkcode listenOrigin} does
 */
export async function listenConnections(
  where: string | URL,
  options: ListenOptions = {},
): Promise<Acceptor> {
  const end = parseEnd(where);
  options.signal?.throwIfAborted();
  switch (end.scheme) {
    case "tcp":
    case "tls":
      return listenAt(end, options);
    case "unix":
      return denoAcceptor(await listenUnix(end.path, end.name), end.name);
  }
  throw notConnected(end, "Cannot listen on");
}

function listenAt(
  { scheme, name, hostname, port }: Extract<End, { scheme: "tcp" | "tls" }>,
  options: ListenOptions,
): Acceptor {
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (cause) {
    throw endError(name, "listen on", cause);
  }
  const withPort = name.replace(/\d+$/, `${listener.addr.port}`);
  if (scheme === "tcp") return denoAcceptor(listener, withPort);
  try {
    return acceptTls(listener, withPort, options);
  } catch (error) {
    listener.close();
    throw error;
  }
}

/** Connections that wait stay with the kernel until they are asked for. */
function denoAcceptor(listener: Deno.Listener, name: string): Acceptor {
  let isClosed = false;
  return {
    name,
    async accept(): Promise<Link | undefined> {
      if (isClosed) return undefined;
      try {
        return new DenoLink(await listener.accept());
      } catch (error) {
        if (isClosed) return undefined;
        throw error;
      }
    },
    close(): Promise<void> {
      if (!isClosed) {
        isClosed = true;
        listener.close();
      }
      return Promise.resolve();
    },
  };
}
