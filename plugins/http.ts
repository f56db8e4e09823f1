/**
 * /dev/http: HTTP requests, to where the user allowed them.
 *
 * One write is one request: a line `GET URL` or `POST URL`, lines of headers,
 * an empty line, and the body; lines end with a newline alone. Reads then give
 * the response as it comes: `HTTP 200 OK`, lines of headers, an empty line, and
 * the body; 0 at its end, and the next request can be written. Of a redirect,
 * which is followed where that is allowed, nothing is seen.
 *
 * A write fails with EINVAL (no such request), E2BIG (it has more than 64 KiB),
 * EACCES (not allowed) and EBUSY (the last response has not been read). A read
 * fails, once, with EACCES (a redirect to where it is not allowed), ELOOP (more
 * than 5 redirects), EFBIG (the response is too long), ETIMEDOUT, or EIO.
 *
 * A request that is under way when the VM is saved has no connection after the
 * restore. What was received of it and not read is in the image. The rest:
 *
 * - a GET of which the program has read nothing is made again;
 * - any other, above all a POST, is never made twice: after what was received,
 *   a read fails with EIO. The program then has to find out what became of it.
 *
 * Options:
 *
 * - `allow`: where to, as `http://host:port/path`, more than one with commas
 *   between. The origin must be the same; the path, or a folder above it.
 * - `max-requests`: how many are under way at a time (default 4); others wait.
 * - `max-response`: how long a response may be, bytes (default 16 MiB).
 * - `timeout`: how long the server may send nothing, ms (default 30000).
 *
 * An image does not say where requests may go: whoever restores it does.
 *
 * @module
 */

import {
  defineDevice,
  DeviceErrno,
  type DeviceFileContext,
  type DeviceHandle,
  ERRNO,
} from "../mod.ts";

/** A request, as the program made it. */
interface HttpRequestV1 {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** What of an open file travels: nothing while no request is under way. */
interface HttpFileV1 {
  readonly request: HttpRequestV1;
  /** What was received and not read. */
  readonly received: Uint8Array;
  /** Whether the program has read some of the response. */
  readonly isRead: boolean;
  /** The errno that it ended with, 0 for a whole one; null: under way. */
  readonly end: number | null;
}

/** What the user chose. */
interface Config {
  readonly allowed: readonly URL[];
  readonly maxRequests: number;
  readonly maxResponseBytes: number;
  readonly timeoutMs: number;
}

const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_HEADERS = 64;
const MAX_REDIRECTS = 5;
/** Once so much is unread, the server has to wait. */
const RECEIVED_BYTES = 64 * 1024;
/** What an image may hold of it: there comes one piece more. */
const MAX_RECEIVED_BYTES = 1024 ** 2;
const MAX_OPEN_FILES = 16;
const POLLIN = 1;
const POLLOUT = 4;

/** Responses that lead elsewhere (RFC 9110, 15.4). */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What the host says, or what is of the connection; never the program's. */
const REFUSED_HEADERS =
  /^(host|connection|content-length|expect|keep-alive|te|trailer|transfer-encoding|upgrade|(proxy|sec)-.*)$/i;
/** What another server is not to know. */
const SECRET_HEADERS = /^(authorization|cookie)$/i;

const encoder = new TextEncoder();

/** Reads what is allowed. @throws {TypeError} */
function parseAllowed(text: string): URL[] {
  return text.split(",").filter((piece) => piece !== "").map((piece) => {
    const url = URL.parse(piece);
    if (!url) throw new TypeError(`it allows "${piece}", which is no URL`);
    const isPlain = /^https?:$/.test(url.protocol) && !/[?#]/.test(piece) &&
      url.username === "" && url.password === "";
    // What a URL is read as may be more than what somebody meant.
    if (isPlain && [url.href, url.origin].includes(piece)) {
      return url;
    }
    throw new TypeError(
      `it allows "${piece}", must be as http://host/path, in its plain form ${url.href}`,
    );
  });
}

function isAllowed(url: URL, allowed: readonly URL[]): boolean {
  if (url.username !== "" || url.password !== "") return false;
  return allowed.some(({ protocol, origin, pathname }) => {
    // A blob: has the origin of who made it, too.
    if (url.protocol !== protocol || url.origin !== origin) return false;
    if (pathname === "/" || url.pathname === pathname) return true;
    // A server may take an encoded slash or dot for one that leads out.
    if (/%(2e|2f|5c|25|00)/i.test(url.pathname)) return false;
    return url.pathname.startsWith(pathname.replace(/\/?$/, "/"));
  });
}

/** Reads what a program wrote. @throws {DeviceErrno} */
function parseRequest(bytes: Uint8Array): HttpRequestV1 {
  if (bytes.length > MAX_REQUEST_BYTES) throw new DeviceErrno(ERRNO.E2BIG);
  // A character a byte: what is found in the text is where it is in the bytes.
  const text = new TextDecoder("latin1").decode(bytes);
  const end = text.includes("\n\n") ? text.indexOf("\n\n") + 2 : text.length;
  const [first, ...lines] = text.slice(0, end).replace(/\n+$/, "").split(
    "\n",
  );
  const [, method, url] = /^(GET|POST) ([!-~]+)$/.exec(first) ?? [];
  const headers = lines.map((line) => {
    const [, name = "", value = ""] = /^([^:]+): *(.*)$/.exec(line) ?? [];
    return [name, value] as const;
  });
  const request = { method, url, headers, body: bytes.slice(end) };
  if (text.endsWith("\n", end) && isRequest(request)) return request;
  throw new DeviceErrno(ERRNO.EINVAL);
}

function isRequest(value: unknown): value is HttpRequestV1 {
  const { method, url, headers, body } = Object(value);
  const isGet = method === "GET";
  if (!isGet && method !== "POST") return false;
  if (!(body instanceof Uint8Array) || (isGet && body.length > 0)) return false;
  if (body.length > MAX_REQUEST_BYTES || !URL.canParse(url)) return false;
  if (!Array.isArray(headers) || headers.length > MAX_HEADERS) return false;
  try {
    new Headers(headers); // throws for what is no header
  } catch {
    return false;
  }
  return headers.every(([name]) => !REFUSED_HEADERS.test(name));
}

function isFileState(value: unknown): value is HttpFileV1 {
  const { request, received, isRead, end } = Object(value);
  return isRequest(request) && received instanceof Uint8Array &&
    received.length <= MAX_RECEIVED_BYTES && typeof isRead === "boolean" &&
    (end === null || Number.isInteger(end) && end >= 0 && end < 4096);
}

/** Makes a request, and follows redirects. @throws {DeviceErrno} EACCES, ELOOP */
async function fetchAllowed(
  { method, url, headers, body }: HttpRequestV1,
  allowed: readonly URL[],
  init: { readonly client: Deno.HttpClient; readonly signal: AbortSignal },
): Promise<Response> {
  let at = new URL(url);
  let verb: string = method;
  const sent = new Headers(headers as [string, string][]);
  // What is received is what was sent, byte by byte.
  if (!sent.has("accept-encoding")) sent.set("accept-encoding", "identity");
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    if (!isAllowed(at, allowed)) throw new DeviceErrno(ERRNO.EACCES);
    const response = await fetch(at, {
      ...init,
      method: verb,
      headers: sent,
      body: verb === "POST" ? body.slice() : undefined,
      redirect: "manual",
    });
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, at);
    const names = [...sent.keys()];
    if (response.status <= 303 && verb === "POST") {
      verb = "GET";
      for (const name of names) {
        if (name.startsWith("content-")) sent.delete(name);
      }
    }
    if (next.origin !== at.origin) {
      for (const name of names) {
        if (SECRET_HEADERS.test(name)) sent.delete(name);
      }
    }
    at = next;
  }
  throw new DeviceErrno(ERRNO.ELOOP);
}

/** The requests that are under way at a time. */
class Slots {
  readonly #most: number;
  readonly #wake: () => void;
  #used = 0;

  constructor(most: number, wake: () => void) {
    this.#most = most;
    this.#wake = wake;
  }

  get isFree(): boolean {
    return this.#used < this.#most;
  }

  take(): void {
    this.#used++;
  }

  giveBack(): void {
    this.#used--;
    this.#wake();
  }
}

/** What requests are made with. */
interface Sender {
  readonly config: Config;
  readonly slots: Slots;
  readonly client: () => Deno.HttpClient;
}

/** A request and its response. */
class Exchange {
  readonly #request: HttpRequestV1;
  readonly #file: DeviceFileContext;
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  #isRead = false;
  #isUnderWay = false;
  #end: number | null = null;
  #wasRead = () => {};

  constructor(file: DeviceFileContext, request: HttpRequestV1) {
    this.#file = file;
    this.#request = request;
  }

  /** One that was saved; see the head of this file. */
  static again(file: DeviceFileContext, saved: HttpFileV1): Exchange {
    const exchange = new Exchange(file, saved.request);
    const { method } = saved.request;
    const isFromStart = saved.end === null && method === "GET" &&
      !saved.isRead;
    if (isFromStart) return exchange;
    exchange.#isRead = saved.isRead;
    exchange.#end = saved.end ?? ERRNO.EIO;
    exchange.#keep(saved.received);
    return exchange;
  }

  /** Whether all there is was read, or nothing came to an end. */
  get isOver(): boolean {
    return this.#receivedBytes === 0 && this.#end !== null;
  }

  get canRead(): boolean {
    return this.#receivedBytes > 0 || this.#end !== null;
  }

  /** Takes at most so many bytes; at the end none, or the errno, negative. */
  read(lengthBytes: number): Uint8Array | number {
    if (this.#receivedBytes === 0) {
      if (this.#end === 0) return new Uint8Array();
      return this.#end === null ? -ERRNO.EAGAIN : -this.#end;
    }
    const [first] = this.#received;
    const piece = first.subarray(0, lengthBytes);
    if (piece.length < first.length) {
      this.#received[0] = first.subarray(piece.length);
    } else this.#received.shift();
    this.#receivedBytes -= piece.length;
    this.#isRead = true;
    this.#wasRead();
    return piece;
  }

  /** Makes the request, unless it was or there are too many. */
  start({ config, slots, client }: Sender): void {
    if (this.#isUnderWay || this.#end !== null || !slots.isFree) return;
    this.#isUnderWay = true;
    slots.take();
    this.#receive(config, client()).then(() => 0, (error) => {
      if (error instanceof DeviceErrno) return error.errno;
      const isLate = (error as Error | null)?.name === "TimeoutError";
      return isLate ? ERRNO.ETIMEDOUT : ERRNO.EIO;
    }).then((errno) => {
      this.#end = errno;
      slots.giveBack();
      this.#file.wake();
    });
  }

  async #receive(config: Config, client: Deno.HttpClient): Promise<void> {
    const { timeoutMs, allowed, maxResponseBytes } = config;
    const giveUp = new AbortController();
    const signal = AbortSignal.any([this.#file.signal, giveUp.signal]);
    signal.addEventListener("abort", () => this.#wasRead());
    const late = new DOMException("The server sent nothing", "TimeoutError");
    const inTime = async <T>(coming: Promise<T>): Promise<T> => {
      const timer = setTimeout(() => giveUp.abort(late), timeoutMs);
      try {
        return await coming;
      } finally {
        clearTimeout(timer);
      }
    };
    try {
      const response = await inTime(
        fetchAllowed(this.#request, allowed, { client, signal }),
      );
      const lines = [...response.headers].map(([k, v]) => `${k}: ${v}\n`);
      const { status, statusText } = response;
      const head = `HTTP ${status} ${statusText}\n${lines.join("")}\n`;
      let left = maxResponseBytes;
      const take = (bytes: Uint8Array) => {
        left -= bytes.length;
        if (left < 0) throw new DeviceErrno(ERRNO.EFBIG);
        this.#keep(bytes);
        this.#file.wake();
      };
      take(encoder.encode(head));
      const reader = response.body?.getReader();
      while (reader) {
        while (this.#receivedBytes >= RECEIVED_BYTES && !signal.aborted) {
          await new Promise<void>((resolve) => this.#wasRead = resolve);
        }
        const { done, value } = await inTime(reader.read());
        if (done) return;
        take(value);
      }
    } finally {
      giveUp.abort(); // what was not read of it is not wanted any more
    }
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
  }

  dump(): HttpFileV1 {
    const received = new Uint8Array(this.#receivedBytes);
    let at = 0;
    for (const piece of this.#received) {
      received.set(piece, at);
      at += piece.length;
    }
    const end = this.#end;
    return { request: this.#request, received, isRead: this.#isRead, end };
  }
}

export default defineDevice({
  kind: "http",
  version: 1,
  config: (values): Config => ({
    allowed: parseAllowed(values.text("allow")),
    maxRequests: values.number("max-requests", { default: 4, min: 1, max: 16 }),
    maxResponseBytes: values.number("max-response", {
      default: 16 * 1024 ** 2,
    }),
    timeoutMs: values.number("timeout", {
      default: 30_000,
      min: 1,
      max: 0x7fff_ffff,
    }),
  }),
  create({ config, signal, wake }) {
    let client: Deno.HttpClient | undefined;
    let openFiles = 0;
    const sender: Sender = {
      config,
      slots: new Slots(config.maxRequests, wake),
      // No connection is kept for later: what is open is under way.
      client: () => client ??= Deno.createHttpClient({ poolMaxIdlePerHost: 0 }),
    };
    const open = (
      file: DeviceFileContext,
      saved?: unknown,
    ): DeviceHandle | number => {
      if (openFiles >= MAX_OPEN_FILES) return -ERRNO.EMFILE;
      let exchange: Exchange | undefined;
      const { exchange: before = null } = Object(saved);
      if (before !== null) {
        if (!isFileState(before)) throw new TypeError("its request is no good");
        exchange = Exchange.again(file, before);
      }
      openFiles++;
      return {
        write(bytes) {
          if (exchange && !exchange.isOver) return -ERRNO.EBUSY;
          const request = parseRequest(bytes);
          if (!isAllowed(new URL(request.url), config.allowed)) {
            return -ERRNO.EACCES;
          }
          // The call waits until another request is done.
          if (!sender.slots.isFree) return -ERRNO.EAGAIN;
          exchange = new Exchange(file, request);
          exchange.start(sender);
        },
        read(lengthBytes) {
          if (!exchange) return new Uint8Array();
          exchange.start(sender); // after a restore it was not, yet
          const isLast = exchange.isOver;
          const given = exchange.read(lengthBytes);
          if (isLast) exchange = undefined;
          return given;
        },
        poll() {
          exchange?.start(sender);
          const isIdle = (!exchange || exchange.isOver) && sender.slots.isFree;
          return (exchange?.canRead ? POLLIN : 0) | (isIdle ? POLLOUT : 0);
        },
        dump: () => ({ exchange: exchange?.dump() ?? null }),
        close: () => void openFiles--,
      };
    };
    // Files close on the same signal; the connections are theirs.
    signal.addEventListener("abort", () => client?.close());
    return {
      files: { "/dev/http": open },
      dump: () => ({ answer: "nothing" }), // all there is are its files
    };
  },
});
