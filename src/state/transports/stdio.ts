/**
 * The standard streams as ends. They stay the process's own: neither is closed.
 *
 * @module
 */

import { endError, TransportError } from "./errors.ts";
import { HeldByte } from "./held_byte.ts";
import type { EndOptions, ImageTarget } from "./image_end.ts";
import type { Reading } from "./link_origin.ts";
import { Guard } from "./guard.ts";

/** How much is read at once. */
const READ_BYTES = 64 * 1024;

/** Standard output. What waits for a slow reader waits for as long as it takes. */
export class StdoutTarget implements ImageTarget {
  /** How errors call it. */
  readonly name = "standard output";
  readonly #guard: Guard;
  readonly #held = new HeldByte();
  #isOpen = true;

  /**
   * @param options `signal`
   * @throws {TransportError} END_IO when it is a terminal
   */
  constructor({ signal }: EndOptions) {
    if (Deno.stdout.isTerminal()) {
      throw new TransportError(
        "END_IO",
        "Cannot write standard output: it is a terminal, and an image is no text",
        {
          end: this.name,
          hint: "send it to a file or a command: `… > vm.img`",
        },
      );
    }
    this.#guard = new Guard(this.name, { signal, timeoutMs: 0 });
  }

  /** Writes `chunk`, but for its last byte. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    await this.#send(this.#held.take(chunk));
  }

  /** Writes the last byte. */
  async commit(): Promise<void> {
    this.#check();
    await this.#send(this.#held.rest());
    await this[Symbol.asyncDispose]();
  }

  /** Writes nothing more: without a commit, the image stays truncated. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    this.#guard[Symbol.dispose]();
    return Promise.resolve();
  }

  async #send(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      await this.#guard.wait("write", writeAll(piece));
    }
  }

  #check(): void {
    this.#guard.throwIfAborted();
    if (!this.#isOpen) {
      throw endError(this.name, "write", new Error("it is closed"));
    }
  }
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    try {
      done += await Deno.stdout.write(bytes.subarray(done));
    } catch (error) {
      // A pipe that somebody made non-blocking, and that is full.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/** Standard input. */
export function stdinReading(): Reading {
  let isClosed = false;
  return {
    async read(): Promise<Uint8Array | undefined> {
      if (isClosed) throw new Error("it is closed");
      const buffer = new Uint8Array(READ_BYTES);
      const count = await Deno.stdin.read(buffer);
      return count === null ? undefined : buffer.subarray(0, count);
    },
    close(): Promise<void> {
      isClosed = true;
      return Promise.resolve();
    },
  };
}
