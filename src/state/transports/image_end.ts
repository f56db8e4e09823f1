/**
 * The two ends of a pipeline: where an image goes, and where it comes from.
 *
 * @module
 */

import type { ImageSink } from "../image_sink.ts";

/**
 * Where an image goes.
 *
 * Until {@linkcode commit} has resolved nothing was replaced; a target that is
 * disposed of without it gives up, and leaves nothing behind. Failures are
 * {@linkcode TransportError}s, and the signal's reason.
 */
export interface ImageTarget extends ImageSink, AsyncDisposable {
  /** How errors call it: a path or URL, without secrets. */
  readonly name: string;
  /** Completes the image. What that means is each end's own matter. */
  commit(): Promise<void>;
}

/**
 * Where an image comes from. Dispose of it when the image was taken: a peer
 * that sends it waits for that.
 */
export interface ImageOrigin extends AsyncDisposable {
  /** How errors call it: a path or URL, without secrets. */
  readonly name: string;
  /** The image's bytes, once; it fails with a {@linkcode TransportError}. */
  readonly readable: ReadableStream<Uint8Array>;
}

/** Certificates and keys, as the text of PEM files. */
export interface TlsOptions {
  /** Our certificate, followed by those that vouch for it, if any. */
  readonly cert?: string;
  /** The private key of `cert`. */
  readonly key?: string;
  /**
   * Certificates of those who vouch for the peer. A client trusts them beside
   * those that Deno trusts (over `https:`, instead of those). A server that is
   * given any refuses a client without a certificate that one of them vouches
   * for; a server without takes every client.
   */
  readonly caCerts?: readonly string[];
  /** The name that the server's certificate must have. Default: the host's. */
  readonly serverName?: string;
}

/** How to open an end. Each end looks at what is about it. */
export interface EndOptions {
  /** Ends it early, at any stage: what is under way fails with its reason. */
  readonly signal?: AbortSignal;
  /**
   * For how long connecting, or one read or write of a network end, may take
   * before it fails, in milliseconds. 0: for ever. Default: 30 000.
   */
  readonly timeoutMs?: number;
  /** For `tls:` and `https:`. */
  readonly tls?: TlsOptions;
  /** For `http:` and `https:`: sent with the request. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * For targets of `http:` and `https:`: how long the image will be. Without,
   * it is kept in a temporary file until its length is known.
   */
  readonly lengthBytes?: number;
  /** For target files: whether to wait for the disk. Default: true. */
  readonly durable?: boolean;
}
