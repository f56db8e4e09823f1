/**
 * An image that goes to a peer.
 *
 * @module
 */

import { excerpt } from "../errors.ts";
import { endError, TransportError } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { HeldByte } from "./held_byte.ts";
import type { ImageTarget } from "./image_end.ts";
import type { Link } from "./link.ts";
import { within } from "./node_link.ts";

/** What a server of {@linkcode listenOrigin} says to whom it turns away. */
export const REFUSAL = "Certificate refused: ";

/** What it goes on with, in plain text, for those who speak no TLS. */
export const NO_TLS = "there is none, as this connection has no TLS";

/** For how long an end that has come may stay unseen. */
const END_MS = 5;

/** For how long a reason is looked for when the connection broke. */
const REASON_MS = 1000;

/** Sends an image over a connection. */
export class LinkTarget implements ImageTarget {
  /** How errors call it. */
  readonly name: string;
  readonly #link: Link;
  readonly #guard: Guard;
  readonly #held = new HeldByte();
  /** Resolves when the peer ended the connection, or said something. */
  readonly #peerEnded: Promise<void>;
  /** The peer closed its side, which commit waits for. */
  #isClosedByPeer = false;
  /** What is wrong, once something is. */
  #failure: TransportError | undefined;
  #isOpen = true;

  /**
   * @param link the connection; closing it is this one's matter now
   * @param guard for each step
   */
  constructor(link: Link, guard: Guard) {
    this.name = guard.name;
    this.#link = link;
    this.#guard = guard;
    guard.onCancel(() => void link.close());
    // Read from the start: with TLS 1.3 a server that refuses a certificate
    // says so when the client has long begun to write.
    this.#peerEnded = link.read().then((chunk) => {
      if (chunk === undefined) this.#isClosedByPeer = true;
      else this.#failure = answered(this.name, chunk);
    }, (cause) => {
      this.#failure = endError(this.name, "write", cause);
    });
  }

  /** Sends `chunk`, but for its last byte. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    for (const piece of this.#held.take(chunk)) await this.#send(piece);
  }

  /** Sends the last byte, and waits until the peer closes its side too. */
  async commit(): Promise<void> {
    await this.#look();
    this.#check();
    for (const piece of this.#held.rest()) await this.#send(piece);
    await this.#step(this.#link.closeWrite());
    await this.#step(this.#peerEnded);
    if (this.#failure) throw await this.#fail(this.#failure);
    await this.#close();
  }

  /** Closes the connection; the peer sees a truncated image. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#peerEnded;
  }

  /** An end that has come by now must not look like one after the last byte. */
  async #look(): Promise<void> {
    // It takes some turns on a busy machine; no number of them is enough there.
    for (const ms of [END_MS, 0, 0]) await within(ms, this.#peerEnded);
  }

  #send(piece: Uint8Array): Promise<void> {
    return this.#step(this.#link.write(piece));
  }

  async #step(step: Promise<void>): Promise<void> {
    try {
      await this.#guard.wait("write", step);
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  /** Gives up, and gives the error that says most about why. */
  async #fail(error: unknown): Promise<unknown> {
    const dropped = error instanceof TransportError &&
      error.code === "END_DROPPED";
    // The peer's reason may have come before the connection broke.
    if (dropped) await within(REASON_MS, this.#peerEnded);
    const why = dropped && this.#failure ? this.#failure : error;
    await this.#close();
    return why;
  }

  #check(): void {
    this.#guard.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const reason = !this.#isOpen
      ? "it is closed"
      : this.#isClosedByPeer
      ? "the peer ended the connection before it had all"
      : undefined;
    if (reason === undefined) return;
    const { name } = this;
    throw new TransportError("END_DROPPED", `Cannot write ${name}: ${reason}`, {
      end: name,
    });
  }

  async #close(): Promise<void> {
    this.#isOpen = false;
    this.#guard[Symbol.dispose]();
    await this.#link.close();
  }
}

/** A peer has nothing to say but why it does not want the image. */
function answered(end: string, chunk: Uint8Array): TransportError {
  const text = new TextDecoder().decode(chunk.subarray(0, 200)).trim();
  if (text.startsWith(REFUSAL)) {
    const reason = excerpt(text.slice(REFUSAL.length));
    return new TransportError(
      "END_TLS",
      `Cannot write ${end}: the peer refuses our certificate: ${reason}`,
      {
        end,
        hint: reason === NO_TLS
          ? "the peer takes tls: only"
          : "give a certificate that the peer's caCerts vouch for",
      },
    );
  }
  return new TransportError(
    "END_DROPPED",
    `Cannot write ${end}: the peer answered "${excerpt(text)}"`,
    { end, hint: "is the other side one that takes images?" },
  );
}
