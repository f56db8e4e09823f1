/**
 * Decryption.
 *
 * @module
 */

import { isZero, viewOf } from "../fields.ts";
import { nodeCrypto } from "../node_builtins.ts";
import {
  ENCRYPTED_HEADER,
  ENCRYPTED_MAGIC,
  SALT_BYTES,
  TAG_BYTES,
} from "./encrypted_stream.ts";
import {
  checkSecret,
  deriveKeys,
  type EncryptionSecret,
  KDF,
  MAX_ITERATIONS,
  MIN_ITERATIONS,
} from "./encryption_key.ts";
import { StageError, type StageErrorCode } from "./errors.ts";
import { CipherOwner, type FrameCipher, frameCipher } from "./frame_cipher.ts";
import { Deframer, type DeframerFormat, type FramePlace } from "./frames.ts";
import { type Emit, makeStage, type Stage } from "./stage.ts";

/** What {@linkcode decrypt} decrypts with: what it was encrypted with. */
export type DecryptOptions = EncryptionSecret;

/**
 * Undoes {@linkcode encrypt}. Nothing passes that is not as it was encrypted,
 * and in its place; that nothing is missing at the end is known only when the
 * stream ends without an error. Failures are a {@linkcode StageError}:
 * STAGE_KEY for a wrong key or passphrase, STAGE_TAMPERED, STAGE_DAMAGED,
 * STAGE_TRUNCATED, STAGE_FORMAT, STAGE_VERSION.
 *
 * @example
 * ```ts
 * import { decrypt, encrypt } from "@scratchvm/scratchvm";
 *
 * const key = crypto.getRandomValues(new Uint8Array(32));
 * const secret = new Response("hello").body!.pipeThrough(encrypt({ key }));
 * const plain = secret.pipeThrough(decrypt({ key }));
 * console.log(await new Response(plain).text());
 * ```
 *
 * @throws {StageError} STAGE_KEY when the key or passphrase is none
 */
export function decrypt(options: DecryptOptions): Stage {
  const secret = checkSecret(options, "decrypt");
  return makeStage((emit) => {
    const owner = new CipherOwner();
    const deframer = new Deframer(new EncryptedFormat(secret, emit, owner));
    return {
      write: (chunk) => deframer.write(chunk),
      close() {
        deframer.close();
        owner[Symbol.dispose]();
      },
      fail: () => owner[Symbol.dispose](),
    };
  }, { chunksAhead: 1 });
}

/** What the frames of an encrypted stream mean. */
class EncryptedFormat implements DeframerFormat {
  readonly stage = "decrypt";
  readonly cannot = "Cannot decrypt";
  readonly magic = ENCRYPTED_MAGIC;
  readonly overheadBytes = TAG_BYTES;
  readonly #secret: EncryptionSecret;
  readonly #emit: Emit;
  readonly #owner: CipherOwner;
  #cipher: FrameCipher | undefined;

  constructor(secret: EncryptionSecret, emit: Emit, owner: CipherOwner) {
    this.#secret = secret;
    this.#emit = emit;
    this.#owner = owner;
  }

  notThis(): StageError {
    return this.#error("STAGE_FORMAT", "it is not an encrypted stream", 0);
  }

  async header(header: Uint8Array<ArrayBuffer>): Promise<void> {
    const view = viewOf(header);
    const kdf = view.getUint32(ENCRYPTED_HEADER.kdf, true);
    const iterations = view.getUint32(ENCRYPTED_HEADER.iterations, true);
    const { reserved, salt, keyCheck, reservedEnd, crc } = ENCRYPTED_HEADER;
    const iterationsFit = kdf === KDF.passphrase
      ? iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS
      : iterations === 0;
    if (
      (kdf !== KDF.key && kdf !== KDF.passphrase) || !iterationsFit ||
      !isZero(header.subarray(reserved, salt)) ||
      !isZero(header.subarray(reservedEnd, crc))
    ) {
      throw this.#error("STAGE_DAMAGED", "its header makes no sense", 0);
    }
    const isPassphrase = this.#secret.passphrase !== undefined;
    if (isPassphrase !== (kdf === KDF.passphrase)) {
      throw this.#error(
        "STAGE_KEY",
        isPassphrase
          ? "it was encrypted with a key, not with a passphrase"
          : "it was encrypted with a passphrase, not with a key",
        ENCRYPTED_HEADER.kdf,
      );
    }
    const keys = await deriveKeys(
      this.#secret,
      header.slice(salt, salt + SALT_BYTES),
      iterations,
      "decrypt",
    );
    const check = header.subarray(keyCheck, keyCheck + SALT_BYTES);
    if (!nodeCrypto().timingSafeEqual(check, keys.check)) {
      throw this.#error(
        "STAGE_KEY",
        isPassphrase ? "the passphrase is wrong" : "the key is wrong",
        keyCheck,
      );
    }
    this.#cipher = this.#owner.own(await frameCipher(keys.key, header));
  }

  async frame(
    body: Uint8Array<ArrayBuffer>,
    place: FramePlace,
    offset: number,
  ): Promise<void> {
    let plain: Uint8Array;
    try {
      plain = await this.#cipher!.open(body, place);
    } catch (cause) {
      throw this.#error(
        "STAGE_TAMPERED",
        `frame ${place.index} is not what was encrypted there`,
        offset,
        cause,
      );
    }
    await this.#emit(plain);
  }

  #error(
    code: StageErrorCode,
    reason: string,
    offset: number,
    cause?: unknown,
  ): StageError {
    const { stage, cannot } = this;
    const message = `${cannot}: ${reason}`;
    return new StageError(code, message, { stage, offset, cause });
  }
}
