/**
 * AES-256-GCM of the frames of an encrypted stream: WebCrypto's, or the host's
 * libcrypto where there is one, which is many times as fast.
 *
 * @module
 */

import { nonceOf, TAG_BYTES } from "./encrypted_stream.ts";
import type { FramePlace } from "./frames.ts";
import { libcryptoCipher } from "./libcrypto.ts";

/** Encrypts and decrypts the frames of one stream, one at a time. */
export interface FrameCipher extends Disposable {
  /** The chunk as a frame's body: encrypted, and the tag. */
  seal(
    chunk: Uint8Array<ArrayBuffer>,
    place: FramePlace,
  ): Uint8Array | Promise<Uint8Array>;
  /** The chunk of a body; throws when it is not what was sealed there. */
  open(
    body: Uint8Array<ArrayBuffer>,
    place: FramePlace,
  ): Uint8Array | Promise<Uint8Array>;
}

/**
 * The fastest cipher that there is here; both give the same bytes.
 *
 * @param key 32 bytes
 * @param header of the stream, which is bound to each frame
 */
export async function frameCipher(
  key: Uint8Array<ArrayBuffer>,
  header: Uint8Array<ArrayBuffer>,
): Promise<FrameCipher> {
  return libcryptoCipher(key, header) ?? await webCipher(key, header);
}

/** What a stage owns its cipher with, which can come when the stage has failed. */
export class CipherOwner implements Disposable {
  #cipher: FrameCipher | undefined;
  #isOver = false;

  /** Owns it, and gives it back. @throws {Error} when the stage is over */
  own(cipher: FrameCipher): FrameCipher {
    this.#cipher = cipher;
    if (!this.#isOver) return cipher;
    cipher[Symbol.dispose]();
    throw new Error("the stage has ended");
  }

  /** The stage is over. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#cipher?.[Symbol.dispose]();
  }
}

/** WebCrypto's. @param key 32 bytes @param header of the stream */
export async function webCipher(
  key: Uint8Array<ArrayBuffer>,
  header: Uint8Array<ArrayBuffer>,
): Promise<FrameCipher> {
  const { subtle } = crypto;
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, [
    "encrypt",
    "decrypt",
  ]);
  const howFor = (place: FramePlace): AesGcmParams => ({
    name: "AES-GCM",
    iv: nonceOf(place),
    additionalData: header,
    tagLength: TAG_BYTES * 8,
  });
  return {
    async seal(chunk, place) {
      return new Uint8Array(
        await subtle.encrypt(howFor(place), imported, chunk),
      );
    },
    async open(body, place) {
      return new Uint8Array(
        await subtle.decrypt(howFor(place), imported, body),
      );
    },
    [Symbol.dispose]() {},
  };
}
