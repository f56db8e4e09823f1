/**
 * Encryption.
 *
 * @module
 */

import { viewOf } from "../fields.ts";
import {
  ENCRYPTED_HEADER,
  ENCRYPTED_MAGIC,
  SALT_BYTES,
} from "./encrypted_stream.ts";
import {
  checkSecret,
  DEFAULT_ITERATIONS,
  deriveKeys,
  type EncryptionSecret,
  KDF,
  MAX_ITERATIONS,
  MIN_ITERATIONS,
} from "./encryption_key.ts";
import { CipherOwner, type FrameCipher, frameCipher } from "./frame_cipher.ts";
import {
  beginHeader,
  checkChunkBytes,
  Chunker,
  encodeFrameHeader,
  MAX_CHUNK_BYTES,
  sealHeader,
} from "./frames.ts";
import { makeStage, type Stage } from "./stage.ts";

/** What {@linkcode encrypt} encrypts with, and how. */
export type EncryptOptions = EncryptionSecret & {
  /**
   * For a passphrase: how often it is hashed, 100,000 to 10,000,000; 600,000 if
   * it is not given. More makes guessing, and reading, slower.
   */
  readonly iterations?: number;
  /** Bytes in each frame, at most 1,048,576; that if it is not given. */
  readonly chunkBytes?: number;
};

/**
 * Encrypts with AES-256-GCM, in frames, with a key that is derived for this
 * stream alone. Whoever reads it notices any change, and where it was cut off.
 *
 * @example
 * ```ts
 * import { decrypt, encrypt } from "@scratchvm/scratchvm";
 *
 * const passphrase = "seven boats on a paper lake";
 * const secret = new Response("hello").body!
 *   .pipeThrough(encrypt({ passphrase }));
 * const plain = secret.pipeThrough(decrypt({ passphrase }));
 * console.log(await new Response(plain).text());
 * ```
 *
 * @throws {StageError} STAGE_KEY when the key or passphrase is none; later, when
 * the CryptoKey is not fit
 * @throws {RangeError} when an option is out of its range
 */
export function encrypt(options: EncryptOptions): Stage {
  const { iterations = DEFAULT_ITERATIONS, chunkBytes = MAX_CHUNK_BYTES } =
    options;
  const secret = checkSecret(options, "encrypt");
  checkChunkBytes(chunkBytes);
  if (
    !Number.isInteger(iterations) || iterations < MIN_ITERATIONS ||
    iterations > MAX_ITERATIONS
  ) {
    throw new RangeError(
      `Cannot encrypt: iterations must be ${MIN_ITERATIONS} to ${MAX_ITERATIONS}, and is ${iterations}`,
    );
  }
  return makeStage((emit) => {
    const owner = new CipherOwner();
    let stream: EncryptedStream | undefined;
    const chunker = new Chunker(chunkBytes, async (chunk, place) => {
      if (!stream) {
        stream = await begin(secret, iterations, chunkBytes);
        owner.own(stream.cipher);
        await emit(stream.header);
      }
      const body = await stream.cipher.seal(chunk, place);
      // Two chunks: one of both would be a large buffer more, which is slow.
      await emit(encodeFrameHeader(body, place.isFinal));
      await emit(body);
    });
    return {
      write: (chunk) => chunker.write(chunk),
      async close() {
        await chunker.close();
        owner[Symbol.dispose]();
      },
      fail: () => owner[Symbol.dispose](),
    };
  }, { chunksAhead: 1 });
}

/** The header of a new stream, and its cipher. */
interface EncryptedStream {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly cipher: FrameCipher;
}

async function begin(
  secret: EncryptionSecret,
  iterations: number,
  chunkBytes: number,
): Promise<EncryptedStream> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const { key, check } = await deriveKeys(secret, salt, iterations, "encrypt");
  const header = beginHeader(ENCRYPTED_MAGIC, chunkBytes);
  const view = viewOf(header);
  const isPassphrase = secret.passphrase !== undefined;
  const kdf = isPassphrase ? KDF.passphrase : KDF.key;
  view.setUint32(ENCRYPTED_HEADER.kdf, kdf, true);
  view.setUint32(
    ENCRYPTED_HEADER.iterations,
    isPassphrase ? iterations : 0,
    true,
  );
  header.set(salt, ENCRYPTED_HEADER.salt);
  header.set(check, ENCRYPTED_HEADER.keyCheck);
  sealHeader(header);
  return { header, cipher: await frameCipher(key, header) };
}
