/**
 * Errors of the ends of a pipeline.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";

/** What kind of failure a {@linkcode TransportError} is. */
export type TransportErrorCode =
  /** The scheme is not known, or the URL makes no sense. */
  | "END_URL"
  /** There is nobody to connect to. */
  | "END_REFUSED"
  /** The connection broke, or ended before it was complete. */
  | "END_DROPPED"
  /** Nothing went on for too long. */
  | "END_TIMEOUT"
  /** A certificate is wrong, missing, expired or for another host. */
  | "END_TLS"
  /** An HTTP server said no, or not all. */
  | "END_HTTP"
  /** The host would not read or write. */
  | "END_IO";

/** An image does not get to where it should go, or from where it is. */
export class TransportError extends Error {
  /** The name of the class. */
  override name = "TransportError";
  /** What kind of failure this is. */
  readonly code: TransportErrorCode;
  /** The name of the end that it is about, without secrets. */
  readonly end: string;
  /** What the user can do about it, when there is something. */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason, without a final period
   * @param options `end`, `hint` and `cause`
   */
  constructor(
    code: TransportErrorCode,
    message: string,
    options: { end: string; hint?: string; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.end = options.end;
    this.hint = options.hint;
  }
}

/** What an end was doing when it failed. */
export type Action = "connect to" | "read" | "write" | "listen on";

/** What of an error tells its kind: Deno's class, Node's code, the message. */
interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
}

/** Deno's classes of a connection that is no more. */
const DROPPED = [
  "BrokenPipe",
  "ConnectionAborted",
  "ConnectionReset",
  "NotConnected",
  "UnexpectedEof",
  "Interrupted",
  "BadResource",
];

/** Node's codes for the same. */
const DROPPED_CODES = [
  "ECONNABORTED",
  "ECONNRESET",
  "EPIPE",
  "ENOTCONN",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_DESTROYED",
];

/** Node's codes that are about certificates, or about the TLS itself. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_)/;

function codeOf(action: Action, thrown: Thrown): TransportErrorCode {
  const { name = "", code = "", message = "" } = thrown;
  // rustls has no class of its own in Deno: what it finds is InvalidData.
  if (name === "InvalidData" || TLS_CODE.test(code)) return "END_TLS";
  if (/invalid peer certificate|fatal alert/.test(message)) return "END_TLS";
  if (name === "TimedOut" || code === "ETIMEDOUT") return "END_TIMEOUT";
  if (name === "NotCapable" || action === "listen on") return "END_IO";
  if (DROPPED.includes(name) || DROPPED_CODES.includes(code)) {
    return "END_DROPPED";
  }
  return action === "connect to" ? "END_REFUSED" : "END_IO";
}

const HINTS: Partial<Record<TransportErrorCode, string>> = {
  END_REFUSED: "is the other side running, and is this its address?",
  END_TLS: "see docs/ends.md for how certificates are made and named",
};

/**
 * The error for what an end's system call, or its TLS, threw.
 *
 * @param end name of the end
 * @param action what it was doing
 * @param cause what was thrown; one of ours is passed on
 */
export function endError(
  end: string,
  action: Action,
  cause: unknown,
): TransportError {
  if (cause instanceof TransportError) return cause;
  const code = codeOf(action, (cause ?? {}) as Thrown);
  const reason = code === "END_DROPPED"
    ? `the connection broke: ${reasonOf(cause)}`
    : reasonOf(cause);
  return new TransportError(code, `Cannot ${action} ${end}: ${reason}`, {
    end,
    hint: HINTS[code],
    cause,
  });
}
