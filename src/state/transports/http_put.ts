/**
 * An image that is put to an HTTP server.
 *
 * @module
 */

import { Ending } from "./ending.ts";
import { endError, TransportError } from "./errors.ts";
import { Guard } from "./guard.ts";
import { HeldByte } from "./held_byte.ts";
import { beginRequest, httpError, isOk, type Request } from "./http_request.ts";
import type { EndOptions, ImageTarget } from "./image_end.ts";
import { writeTo } from "./node_link.ts";
import type { Socket } from "node:net";

/**
 * Puts an image whose length is known, while it is written. A body that is
 * shorter than its Content-Length is no object to a server: its last byte is
 * sent when the image is committed.
 */
export class HttpPutTarget implements ImageTarget {
  /** How errors call it. */
  readonly name: string;
  readonly #guard: Guard;
  readonly #request: Request;
  readonly #lengthBytes: number;
  readonly #held = new HeldByte();
  readonly #ending = new Ending();
  #doneBytes = 0;
  /** The server has answered, which ends the request whatever it says. */
  #isAnswered = false;
  #isOpen = true;

  private constructor(request: Request, guard: Guard, lengthBytes: number) {
    this.name = guard.name;
    this.#request = request;
    this.#guard = guard;
    this.#lengthBytes = lengthBytes;
    guard.onCancel(() => void request.close());
    request.response.then(
      () => this.#isAnswered = true,
      (error) => this.#ending.end(error),
    );
  }

  /**
   * Connects.
   *
   * @param name how errors call it
   * @param options with `lengthBytes`
   * @throws {TransportError} END_REFUSED, END_TLS, END_TIMEOUT, END_URL; the
   * signal's reason
   */
  static async open(
    url: URL,
    name: string,
    options: EndOptions & { readonly lengthBytes: number },
  ): Promise<HttpPutTarget> {
    const { lengthBytes, headers } = options;
    const guard = new Guard(name, options);
    try {
      const request = beginRequest("PUT", url, {
        ...options,
        headers: { ...headers, "Content-Length": `${lengthBytes}` },
      });
      const target = new HttpPutTarget(request, guard, lengthBytes);
      try {
        request.body.flushHeaders();
        await guard.wait("connect to", connected(url, request));
        return target;
      } catch (error) {
        await request.close();
        throw error;
      }
    } catch (error) {
      guard[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends `chunk`, but for its last byte. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    this.#doneBytes += chunk.length;
    if (this.#doneBytes > this.#lengthBytes) {
      throw await this.#fail(
        this.#mismatch(`it has more than the ${this.#lengthBytes} bytes`),
      );
    }
    for (const piece of this.#held.take(chunk)) await this.#send(piece);
  }

  /** Sends the last byte, and waits for the server to say that it has all. */
  async commit(): Promise<void> {
    this.#check();
    if (this.#doneBytes !== this.#lengthBytes) {
      throw await this.#fail(
        this.#mismatch(
          `it has ${this.#doneBytes} of the ${this.#lengthBytes} bytes`,
        ),
      );
    }
    for (const piece of this.#held.rest()) await this.#send(piece);
    this.#request.body.end();
    try {
      const response = await this.#guard.wait("write", this.#request.response);
      if (!isOk(response)) throw await this.#refusal();
    } catch (error) {
      throw await this.#fail(error);
    }
    await this.#close();
  }

  /** Ends the request; what the server has of it is no object. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #send(piece: Uint8Array): Promise<void> {
    try {
      if (this.#isAnswered) throw await this.#refusal();
      // A request that ended need not call back.
      const step = this.#ending.orEnd(writeTo(this.#request.body, piece));
      await this.#guard.wait("write", step);
    } catch (error) {
      const isRefusal = error instanceof TransportError &&
        error.code === "END_DROPPED" && this.#isAnswered;
      throw await this.#fail(isRefusal ? await this.#refusal() : error);
    }
  }

  /** The error of an answer that is none, or comes too early. */
  async #refusal(): Promise<unknown> {
    const response = await this.#request.response;
    if (isOk(response)) {
      return this.#mismatch("the server answers before it has all of it");
    }
    return await this.#guard.wait(
      "read",
      httpError(this.name, "PUT", response),
    );
  }

  #mismatch(reason: string): TransportError {
    const { name } = this;
    return new TransportError("END_HTTP", `Cannot PUT ${name}: ${reason}`, {
      end: name,
    });
  }

  async #fail(error: unknown): Promise<unknown> {
    await this.#close();
    return error;
  }

  #check(): void {
    this.#guard.throwIfAborted();
    if (!this.#isOpen) {
      throw endError(this.name, "write", new Error("it is closed"));
    }
  }

  async #close(): Promise<void> {
    this.#isOpen = false;
    this.#guard[Symbol.dispose]();
    await this.#request.close();
  }
}

/** Resolves when the connection is there, with its TLS. */
function connected(url: URL, { body, response }: Request): Promise<void> {
  const event = url.protocol === "https:" ? "secureConnect" : "connect";
  return new Promise((resolve, reject) => {
    response.then(() => resolve(), reject);
    body.once("socket", (socket: Socket) => {
      if (socket.connecting || event === "secureConnect") {
        socket.once(event, () => resolve());
      } else resolve();
    });
  });
}
