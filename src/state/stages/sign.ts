/**
 * Signing.
 *
 * @module
 */

import { viewOf } from "../fields.ts";
import {
  beginHeader,
  checkChunkBytes,
  Chunker,
  encodeFrameHeader,
  MAX_CHUNK_BYTES,
  sealHeader,
} from "./frames.ts";
import {
  ED25519,
  ID_BYTES,
  SIGNED_HEADER,
  SIGNED_MAGIC,
  signedMessage,
} from "./signed_stream.ts";
import {
  checkKey,
  keyFingerprint,
  publicKeyOf,
  SIGNING_ALGORITHM,
} from "./signing_keys.ts";
import { makeStage, type Stage } from "./stage.ts";

/** What {@linkcode sign} signs with. */
export interface SignOptions {
  /** A private key of Ed25519. */
  readonly privateKey: CryptoKey;
  /** Its public key: needed when the private key is not extractable. */
  readonly publicKey?: CryptoKey;
  /** Bytes in each frame, at most 1,048,576; that if it is not given. */
  readonly chunkBytes?: number;
}

/**
 * Signs the stream with Ed25519, frame by frame, so that whoever reads it can
 * use what comes before all of it is there. It is not encrypted.
 *
 * @example
 * ```ts
 * import {
 *   generateSigningKeys,
 *   sign,
 *   verifySignature,
 * } from "@scratchvm/scratchvm";
 *
 * const { privateKey, publicKey } = await generateSigningKeys();
 * const signed = new Response("hello").body!.pipeThrough(sign({ privateKey }));
 * const checked = signed.pipeThrough(verifySignature({ publicKey }));
 * console.log(await new Response(checked).text());
 * ```
 *
 * @throws {StageError} STAGE_KEY when it is no such key; later, when it is not
 * extractable and there is no `publicKey`
 * @throws {RangeError} when `chunkBytes` is out of its range
 */
export function sign(options: SignOptions): Stage {
  const { privateKey, publicKey, chunkBytes = MAX_CHUNK_BYTES } = options;
  checkKey(privateKey, "private", "Cannot sign");
  if (publicKey) checkKey(publicKey, "public", "Cannot sign");
  checkChunkBytes(chunkBytes);
  return makeStage((emit) => {
    let header: Uint8Array | undefined;
    const chunker = new Chunker(chunkBytes, async (chunk, place) => {
      if (!header) {
        const key = publicKey ?? await publicKeyOf(privateKey);
        header = newHeader(chunkBytes, await keyFingerprint(key));
        await emit(header);
      }
      const signature = await crypto.subtle.sign(
        SIGNING_ALGORITHM,
        privateKey,
        signedMessage(header, place, chunk),
      );
      const body = new Uint8Array(chunk.length + signature.byteLength);
      body.set(chunk);
      body.set(new Uint8Array(signature), chunk.length);
      await emit(encodeFrameHeader(body, place.isFinal));
      await emit(body);
    });
    return {
      write: (chunk) => chunker.write(chunk),
      close: () => chunker.close(),
    };
  }, { chunksAhead: 1 });
}

function newHeader(chunkBytes: number, fingerprint: string): Uint8Array {
  const header = beginHeader(SIGNED_MAGIC, chunkBytes);
  viewOf(header).setUint32(SIGNED_HEADER.algorithm, ED25519, true);
  header.set(
    crypto.getRandomValues(new Uint8Array(ID_BYTES)),
    SIGNED_HEADER.streamId,
  );
  header.set(Uint8Array.fromHex(fingerprint), SIGNED_HEADER.fingerprint);
  sealHeader(header);
  return header;
}
