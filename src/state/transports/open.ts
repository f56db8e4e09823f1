/**
 * Opening an end by its URL.
 *
 * @module
 */

import { type End, parseEnd } from "./end_url.ts";
import { fileReading, FileTarget } from "./file.ts";
import { TransportError } from "./errors.ts";
import { Guard } from "./guard.ts";
import { httpReading } from "./http_get.ts";
import { HttpPutTarget } from "./http_put.ts";
import { HttpSpoolTarget } from "./http_spool.ts";
import type { EndOptions, ImageOrigin, ImageTarget } from "./image_end.ts";
import type { Link } from "./link.ts";
import { LinkOrigin, type Reading } from "./link_origin.ts";
import { LinkTarget } from "./link_target.ts";
import { stdinReading, StdoutTarget } from "./stdio.ts";
import { connectTcp } from "./tcp.ts";
import { connectTls } from "./tls.ts";
import { connectUnix } from "./unix.ts";

/**
 * Opens where an image goes.
 *
 * @param where a path, `-`, or a URL of `file:`, `tcp:`, `tls:`, `unix:`,
 * `http:` or `https:`; docs/ends.md has what each does
 * @throws {TransportError} when there is no such end; the signal's reason
 *
 * @example Write a file that replaces another when it is complete
 * ```ts
 * import { openTarget } from "@scratchvm/scratchvm";
 *
 * const path = await Deno.makeTempFile();
 * {
 *   await using target = await openTarget(`file://${path}`);
 *   await target.write(new TextEncoder().encode("an image"));
 *   await target.commit();
 * }
 * await Deno.remove(path);
 * ```
 */
export async function openTarget(
  where: string | URL,
  options: EndOptions = {},
): Promise<ImageTarget> {
  const end = parseEnd(where);
  options.signal?.throwIfAborted();
  switch (end.scheme) {
    case "-":
      return new StdoutTarget(options);
    case "file":
      return new FileTarget(end.path, options);
    case "http":
    case "https": {
      const { lengthBytes } = options;
      return lengthBytes === undefined
        ? new HttpSpoolTarget(end.url, end.name, options)
        : await HttpPutTarget.open(end.url, end.name, {
          ...options,
          lengthBytes: checkedLength(lengthBytes),
        });
    }
  }
  return await guarded(end, options, async (guard) => {
    return new LinkTarget(await connect(end, options, guard), guard);
  });
}

/**
 * Opens where an image comes from.
 *
 * @param where as for {@linkcode openTarget}
 * @throws {TransportError} when there is no such end; the signal's reason
 *
 * @example Read a file
 * ```ts
 * import { openOrigin } from "@scratchvm/scratchvm";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "an image");
 * {
 *   await using origin = await openOrigin(path);
 *   assertEquals(await new Response(origin.readable).text(), "an image");
 * }
 * await Deno.remove(path);
 * ```
 */
export async function openOrigin(
  where: string | URL,
  options: EndOptions = {},
): Promise<ImageOrigin> {
  const end = parseEnd(where);
  options.signal?.throwIfAborted();
  // Files and standard input may take their time: nobody else can be waited for.
  const isLocal = end.scheme === "-" || end.scheme === "file";
  const timed = isLocal ? { ...options, timeoutMs: 0 } : options;
  return await guarded(end, timed, async (guard) => {
    return new LinkOrigin(await reading(end, options, guard), guard);
  });
}

/** A connection, and what each step over it is held to. */
export interface Connection {
  /** The connection; closing it is the caller's. */
  readonly link: Link;
  /** For each step; disposing of it is the caller's. */
  readonly guard: Guard;
}

/**
 * Connects to a peer that is talked with, rather than sent an image.
 *
 * @param where a URL of `tcp:`, `tls:` or `unix:`
 * @throws {TransportError} when nobody is there; the signal's reason
 */
export async function openConnection(
  where: string | URL,
  options: EndOptions = {},
): Promise<Connection> {
  const end = parseEnd(where);
  options.signal?.throwIfAborted();
  if (!isConnected(end)) throw notConnected(end, "Cannot connect to");
  return await guarded(end, options, async (guard) => {
    return { link: await connect(end, options, guard), guard };
  });
}

/** Whether an end is one that two talk over. */
export function isConnected(end: End): end is Connected {
  return ["tcp", "tls", "unix"].includes(end.scheme);
}

/** The error of an end that nobody can talk over. */
export function notConnected(end: End, action: string): TransportError {
  return new TransportError(
    "END_URL",
    `${action} ${end.name}: only tcp, tls and unix are connections`,
    { end: end.name },
  );
}

function reading(
  end: End,
  options: EndOptions,
  guard: Guard,
): Promise<Reading> {
  switch (end.scheme) {
    case "-":
      return Promise.resolve(stdinReading());
    case "file":
      return fileReading(end.path);
    case "http":
    case "https":
      return httpReading(end.url, options, guard);
  }
  return connect(end, options, guard);
}

type Connected =
  | Extract<End, { scheme: "tcp" | "tls" }>
  | Extract<End, { scheme: "unix" }>;

function connect(
  end: Connected,
  options: EndOptions,
  guard: Guard,
): Promise<Link> {
  switch (end.scheme) {
    case "tcp":
      return connectTcp(end, guard);
    case "tls":
      return connectTls(end, options.tls ?? {}, guard);
    case "unix":
      return connectUnix(end.path, guard);
  }
}

/** Opens with a guard, which goes on with what was opened, or ends. */
async function guarded<T>(
  end: End,
  options: EndOptions,
  open: (guard: Guard) => Promise<T>,
): Promise<T> {
  const name = end.scheme === "-" ? "standard input" : end.name;
  const guard = new Guard(name, options);
  try {
    return await open(guard);
  } catch (error) {
    guard[Symbol.dispose]();
    throw error;
  }
}

function checkedLength(lengthBytes: number): number {
  if (Number.isSafeInteger(lengthBytes) && lengthBytes >= 0) return lengthBytes;
  throw new RangeError(`lengthBytes is ${lengthBytes}, must be 0 or more`);
}
