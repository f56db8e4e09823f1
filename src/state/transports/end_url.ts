/**
 * What names an end: a URL, a path, or `-`.
 *
 * @module
 */

import { excerpt } from "../errors.ts";
import { TransportError } from "./errors.ts";

/** The end that a URL or path names. `name` is fit for errors. */
export type End =
  | { readonly scheme: "-"; readonly name: string }
  | { readonly scheme: "file"; readonly name: string; readonly path: string }
  | { readonly scheme: "unix"; readonly name: string; readonly path: string }
  | {
    readonly scheme: "tcp" | "tls";
    readonly name: string;
    /** A name or an address, without brackets. */
    readonly hostname: string;
    readonly port: number;
  }
  | {
    readonly scheme: "http" | "https";
    readonly name: string;
    readonly url: URL;
  };

/** How each is written. */
const FORMS = {
  file: "file:vm.img, or file:///tmp/vm.img",
  tcp: "tcp://HOST:PORT",
  tls: "tls://HOST:PORT",
  unix: "unix:vm.sock, or unix:///run/vm.sock",
  http: "http://HOST/PATH",
  https: "https://HOST/PATH",
} as const;

/** The longest path of a socket: `sun_path` of unix(7), less its NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Finds out which end a URL or path names; opens nothing. What has no scheme
 * is the path of a file, `-` a standard stream.
 *
 * @param where such as `"vm.img"`, `"tcp://host:9000"`, `"-"`
 * @throws {TransportError} END_URL
 *
 * @example The parts of a URL
 * ```ts
 * import { parseEnd } from "@scratchvm/scratchvm";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseEnd("tcp://[::1]:9000"), {
 *   scheme: "tcp",
 *   name: "tcp://[::1]:9000",
 *   hostname: "::1",
 *   port: 9000,
 * });
 * ```
 */
export function parseEnd(where: string | URL): End {
  const text = typeof where === "string" ? where : where.href;
  if (text === "-") return { scheme: "-", name: "-" };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1].toLowerCase();
  switch (scheme) {
    case undefined:
      return file(text, text);
    case "file":
      return file(text, pathIn(text, "file"));
    case "unix":
      return unix(text, pathIn(text, "unix"));
    case "tcp":
    case "tls":
      return address(text, scheme);
    case "http":
    case "https":
      return web(text, scheme);
  }
  throw new TransportError(
    "END_URL",
    `Cannot use ${redact(text)}: the scheme ${excerpt(scheme)} is not known, ` +
      `only ${Object.keys(FORMS).join(", ")}`,
    { end: redact(text), hint: "write ./NAME for a file with such a name" },
  );
}

/** A URL as errors show it: whoever has its query or password has the image. */
export function redact(text: string): string {
  const shown = text
    .replace(/#.*$/s, "")
    .replace(/\?.*$/s, "?…")
    .replace(/^([a-z][a-z0-9+.-]*:\/*)[^/]*@/i, "$1…@");
  return excerpt(shown) || '""';
}

function bad(text: string, scheme: keyof typeof FORMS, why: string) {
  const end = redact(text);
  return new TransportError("END_URL", `Cannot use ${end}: ${why}`, {
    end,
    hint: `it is written as ${FORMS[scheme]}`,
  });
}

function file(text: string, path: string): End {
  if (path === "") throw bad(text, "file", "the path is empty");
  if (path.includes("\0")) throw bad(text, "file", "the path has a zero byte");
  return { scheme: "file", name: JSON.stringify(path), path };
}

function unix(text: string, path: string): End {
  if (path.includes("\0")) throw bad(text, "unix", "the path has a zero byte");
  if (new TextEncoder().encode(path).length > MAX_SOCKET_PATH_BYTES) {
    const why = `the path is longer than ${MAX_SOCKET_PATH_BYTES} bytes`;
    throw bad(text, "unix", why);
  }
  return { scheme: "unix", name: `unix:${excerpt(path)}`, path };
}

/** The path in `scheme:PATH` or `scheme:///PATH`. */
function pathIn(text: string, scheme: "file" | "unix"): string {
  const rest = text.slice(`${scheme}:`.length);
  if (!rest.startsWith("//")) {
    if (rest !== "") return rest;
    throw bad(text, scheme, "it names no file");
  }
  const why = "it is no URL of a file here";
  let url: URL;
  let path: string;
  try {
    // Parsed as a file's, whose path and host are taken apart alike.
    url = new URL(`file:${rest}`);
    path = decodeURIComponent(url.pathname);
  } catch {
    throw bad(text, scheme, why);
  }
  if (url.hostname !== "" || url.search !== "" || url.hash !== "") {
    throw bad(text, scheme, why);
  }
  return path;
}

function address(text: string, scheme: "tcp" | "tls"): End {
  const url = parseUrl(text, scheme);
  const extra = url.username || url.password || url.search || url.hash;
  if (extra || !["", "/"].includes(url.pathname)) {
    throw bad(text, scheme, "it must be a host and a port, and nothing else");
  }
  if (url.port === "") throw bad(text, scheme, "it has no port");
  // A URL's own check of names is for http alone.
  if (!/^([\w.-]+|\[[\da-f:.]+\])$/i.test(url.hostname)) {
    throw bad(text, scheme, "it names no host");
  }
  const port = Number(url.port);
  return {
    scheme,
    name: `${scheme}://${url.hostname}:${port}`,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port,
  };
}

function web(text: string, scheme: "http" | "https"): End {
  const url = parseUrl(text, scheme);
  if (url.username || url.password) {
    const end = redact(text);
    throw new TransportError(
      "END_URL",
      `Cannot use ${end}: it must not have a user or a password`,
      { end, hint: "send an Authorization header" },
    );
  }
  url.hash = "";
  return { scheme, name: redact(url.href), url };
}

function parseUrl(text: string, scheme: keyof typeof FORMS): URL {
  try {
    return new URL(text);
  } catch {
    // The reason would show all of the URL.
    throw bad(text, scheme, "it is no URL");
  }
}
