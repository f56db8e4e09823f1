/**
 * An image that is got from an HTTP server.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { endError, TransportError } from "./errors.ts";
import { parseEnd, redact } from "./end_url.ts";
import type { Guard } from "./guard.ts";
import { beginRequest, httpError, isOk, type Request } from "./http_request.ts";
import type { EndOptions } from "./image_end.ts";
import type { Reading } from "./link_origin.ts";
import { chunksOf, plain } from "./node_link.ts";

/** How many redirects are followed, as curl would be told to by most. */
const MAX_REDIRECTS = 10;

/** Statuses that lead elsewhere (RFC 9110, 15.4). */
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * Asks for an image; resolves when it begins to come.
 *
 * @throws {TransportError} END_HTTP, END_REFUSED, END_TLS, END_TIMEOUT; the
 * signal's reason
 */
export async function httpReading(
  url: URL,
  options: EndOptions,
  guard: Guard,
): Promise<Reading> {
  let from = url;
  let forThis = options;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const headers = { ...forThis.headers, "Accept-Encoding": "identity" };
    const request = beginRequest("GET", from, { ...forThis, headers });
    guard.onCancel(() => void request.close());
    request.body.end();
    try {
      const response = await guard.wait("connect to", request.response);
      if (!REDIRECTS.includes(response.statusCode ?? 0)) {
        return await readingOf(request, response, guard);
      }
      const next = redirected(from, response, guard.name);
      if (next.origin !== from.origin) forThis = withoutSecrets(forThis);
      from = next;
      await request.close();
    } catch (error) {
      await request.close();
      throw error;
    }
  }
  throw httpFailure(guard.name, `it leads on more than ${MAX_REDIRECTS} times`);
}

async function readingOf(
  request: Request,
  response: IncomingMessage,
  guard: Guard,
): Promise<Reading> {
  if (!isOk(response)) {
    throw await guard.wait("read", httpError(guard.name, "GET", response));
  }
  const encoding = response.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") {
    throw httpFailure(guard.name, "the server encodes it, unasked");
  }
  return new HttpReading(request, response, guard.name);
}

/** What an HTTP server sends. */
class HttpReading implements Reading {
  readonly #request: Request;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #lengthBytes: number | undefined;
  readonly #name: string;
  #doneBytes = 0;

  constructor(request: Request, response: IncomingMessage, name: string) {
    const length = response.headers["content-length"];
    this.#request = request;
    this.#chunks = chunksOf(response);
    this.#lengthBytes = length === undefined ? undefined : Number(length);
    this.#name = name;
  }

  async read(): Promise<Uint8Array | undefined> {
    let chunk: Uint8Array | undefined;
    try {
      const { done, value } = await this.#chunks.next();
      if (!done) chunk = plain(value);
    } catch (cause) {
      // An end that comes too early may look like an error to Node.
      throw this.#isShort()
        ? this.#short()
        : endError(this.#name, "read", cause);
    }
    if (chunk) {
      this.#doneBytes += chunk.length;
      return chunk;
    }
    if (this.#isShort()) throw this.#short();
    return undefined;
  }

  close(): Promise<void> {
    return this.#request.close();
  }

  #isShort(): boolean {
    return this.#lengthBytes !== undefined &&
      this.#doneBytes !== this.#lengthBytes;
  }

  #short(): TransportError {
    return new TransportError(
      "END_DROPPED",
      `Cannot read ${this.#name}: ${this.#doneBytes} of its ` +
        `${this.#lengthBytes} bytes came`,
      { end: this.#name },
    );
  }
}

/** Where a response leads. */
function redirected(from: URL, response: IncomingMessage, name: string): URL {
  const { location } = response.headers;
  if (location === undefined) {
    throw httpFailure(name, "it leads on, but not where to");
  }
  let to: URL;
  try {
    to = new URL(location, from);
  } catch {
    throw httpFailure(name, "it leads to what is no URL");
  }
  if (!["http:", "https:"].includes(to.protocol)) {
    throw httpFailure(name, `it leads to ${redact(to.href)}, which is no HTTP`);
  }
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw httpFailure(name, `it leads to ${redact(to.href)}, without TLS`);
  }
  parseEnd(to);
  return to;
}

/** What may be told to another host than the one it was given for. */
function withoutSecrets({ tls, ...options }: EndOptions): EndOptions {
  return { ...options, headers: {}, tls: tls && { caCerts: tls.caCerts } };
}

function httpFailure(end: string, reason: string): TransportError {
  return new TransportError("END_HTTP", `Cannot GET ${end}: ${reason}`, {
    end,
  });
}
