/**
 * HTTP requests by Node's client: Deno's `fetch` cannot send a stream with its
 * length, and stores that take presigned URLs accept nothing else.
 *
 * @module
 */

import type * as Http from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import type * as Https from "node:https";
import type { RequestOptions } from "node:https";
import { excerpt } from "../errors.ts";
import { checkedKeyPair } from "./certificates.ts";
import { TransportError } from "./errors.ts";
import { redact } from "./end_url.ts";
import type { EndOptions } from "./image_end.ts";
import { chunksOf } from "./node_link.ts";

/** How much of what a server says about a failure is shown. */
const SHOWN_BYTES = 200;

/** A request under way. */
export interface Request {
  /** What the body is written to. */
  readonly body: ClientRequest;
  /** The response's head, which may come before the body was sent. */
  readonly response: Promise<IncomingMessage>;
  /** Gives up; what is under way fails. May be called again. */
  close(): Promise<void>;
}

/**
 * Begins a request on a connection of its own.
 *
 * @param url of `http:` or `https:`
 * @param options `headers` and `tls`
 * @throws {TransportError} END_TLS for certificates that make no sense,
 * END_URL for headers that cannot be sent
 */
export function beginRequest(
  method: "GET" | "PUT",
  url: URL,
  options: EndOptions,
): Request {
  const name = redact(url.href);
  const { tls = {}, headers = {} } = options;
  let body: ClientRequest;
  const request: RequestOptions = { method, headers: { ...headers } };
  // No pool: a connection that is kept would outlive its end.
  request.agent = false;
  try {
    if (url.protocol === "https:") {
      Object.assign(request, checkedKeyPair(name, tls));
      if (tls.caCerts) request.ca = [...tls.caCerts];
      if (tls.serverName) request.servername = tls.serverName;
      const https: typeof Https = process.getBuiltinModule("node:https");
      body = https.request(url, request);
    } else {
      const http: typeof Http = process.getBuiltinModule("node:http");
      body = http.request(url, request);
    }
  } catch (cause) {
    if (cause instanceof TransportError) throw cause;
    // Node's reason may show a header's value: it is a secret as often as not.
    throw new TransportError(
      "END_URL",
      `Cannot ${method} ${name}: a header cannot be sent`,
      { end: name },
    );
  }
  const closed = new Promise<void>((resolve) => body.once("close", resolve));
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    body.once("response", (message) => {
      // Read by whoever reads it, but never thrown at the process.
      message.on("error", () => {});
      resolve(message);
    });
    body.on("error", reject);
    void closed.then(() => reject(new Deno.errors.ConnectionReset("it ended")));
  });
  // Whoever writes the body may fail first.
  response.catch(() => {});
  return {
    body,
    response,
    async close(): Promise<void> {
      body.destroy();
      await closed;
    },
  };
}

/** Whether a status says that it worked. */
export function isOk({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/** The error of a server that says no, with the beginning of why. */
export async function httpError(
  name: string,
  method: "GET" | "PUT",
  response: IncomingMessage,
): Promise<TransportError> {
  const status = response.statusCode ?? 0;
  const said = await beginningOf(response);
  const words = [`${status}`, response.statusMessage ?? ""].join(" ").trim();
  return new TransportError(
    "END_HTTP",
    `Cannot ${method} ${name}: the server answers ${excerpt(words)}` +
      (said === "" ? "" : `: ${said}`),
    { end: name, hint: hintFor(status) },
  );
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const bytes = new Uint8Array(SHOWN_BYTES);
  let length = 0;
  const chunks = chunksOf(response);
  try {
    while (length < bytes.length) {
      const { done, value } = await chunks.next();
      if (done) break;
      const piece = value.subarray(0, bytes.length - length);
      bytes.set(piece, length);
      length += piece.length;
    }
  } catch {
    // What came of it is enough.
  }
  const text = new TextDecoder().decode(bytes.subarray(0, length));
  return excerpt(text.replace(/\s+/g, " ").trim());
}

function hintFor(status: number): string | undefined {
  if (status === 401 || status === 403) {
    return "a presigned URL is for one method, and expires; a script can send a header";
  }
  if (status >= 300 && status < 400) return "use the URL that it leads to";
  if (status === 411) return "give lengthBytes";
  return undefined;
}
