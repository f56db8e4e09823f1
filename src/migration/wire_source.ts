/**
 * An image, as it comes over the connection of a move.
 *
 * @module
 */

import type { ByteSource } from "../state/mod.ts";
import { FRAME } from "./frames.ts";
import { endMessage } from "./messages.ts";
import type { Wire } from "./wire.ts";

/** The bytes of an image in the frames of a wire. */
export class WireSource implements ByteSource {
  readonly name = "the image";
  readonly #wire: Wire;
  /** Bytes that are left of the frame under way. */
  #left = 0;
  #totalBytes = 0;
  #hasEnded = false;
  #digest = "";
  readonly #end = Promise.withResolvers<void>();

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** What the source says that the image's digest is; empty before its end. */
  get digest(): string {
    return this.#digest;
  }

  /** Resolves when the source has sent all of it. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** @throws {MigrationError} when the frames are not what they must be */
  async fill(target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      if (this.#left === 0 && !await this.#nextFrame()) break;
      const end = Math.min(target.length, done + this.#left);
      await this.#wire.take(target.subarray(done, end));
      this.#left -= end - done;
      this.#totalBytes += end - done;
      done = end;
    }
    return done;
  }

  /** Goes to the next frame with bytes; false when the image is complete. */
  async #nextFrame(): Promise<boolean> {
    if (this.#hasEnded) return false;
    const next = await this.#wire.next(FRAME.data, FRAME.end);
    if (next.type === FRAME.data) {
      this.#left = next.lengthBytes;
      return true;
    }
    const payload = new Uint8Array(next.lengthBytes);
    await this.#wire.take(payload);
    const end = this.#wire.read(endMessage, payload);
    if (end.totalBytes !== this.#totalBytes) {
      throw this.#wire.wrong(
        `it sent ${this.#totalBytes} of ${end.totalBytes} bytes of the image`,
      );
    }
    this.#digest = end.digest;
    this.#hasEnded = true;
    this.#end.resolve();
    return false;
  }
}
