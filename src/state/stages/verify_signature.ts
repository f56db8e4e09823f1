/**
 * Verifying what was signed.
 *
 * @module
 */

import { hasMagic, isZero, viewOf } from "../fields.ts";
import { HEADER_MAGIC } from "../format.ts";
import { StageError, type StageErrorCode } from "./errors.ts";
import { Deframer, type DeframerFormat, type FramePlace } from "./frames.ts";
import {
  ED25519,
  ID_BYTES,
  SIGNATURE_BYTES,
  SIGNED_HEADER,
  SIGNED_MAGIC,
  signedMessage,
} from "./signed_stream.ts";
import { checkKey, keyFingerprint, SIGNING_ALGORITHM } from "./signing_keys.ts";
import { type Emit, makeStage, type Stage } from "./stage.ts";

/** Whose signatures {@linkcode verifySignature} accepts: one of the two. */
export type VerifySignatureOptions =
  | {
    /** The public key that the stream must be signed with; extractable. */
    readonly publicKey: CryptoKey;
    readonly publicKeys?: undefined;
  }
  | {
    /** The public keys of which one must have signed; extractable. */
    readonly publicKeys: readonly CryptoKey[];
    readonly publicKey?: undefined;
  };

/**
 * Takes what {@linkcode sign} made, and gives what was signed. Nothing passes
 * that was not signed by an accepted key, and in its place; that nothing is
 * missing at the end is known only when the stream ends without an error.
 * Failures are a {@linkcode StageError}: STAGE_UNSIGNED for a plain image,
 * STAGE_SIGNER for another key, STAGE_TAMPERED, STAGE_DAMAGED, STAGE_TRUNCATED,
 * STAGE_FORMAT, STAGE_VERSION, and STAGE_KEY for a key that cannot be exported.
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
 * const publicKeys = [publicKey];
 * const checked = signed.pipeThrough(verifySignature({ publicKeys }));
 * console.log(await new Response(checked).text());
 * ```
 *
 * @throws {StageError} STAGE_KEY when there is no public key of Ed25519
 */
export function verifySignature(options: VerifySignatureOptions): Stage {
  const accepted = options.publicKeys
    ? [...options.publicKeys]
    : [options.publicKey];
  if (accepted.length === 0) {
    throw new StageError("STAGE_KEY", `${CANNOT}: there is no public key`, {
      stage: STAGE,
    });
  }
  for (const key of accepted) checkKey(key, "public", CANNOT, STAGE);
  return makeStage((emit) => {
    const deframer = new Deframer(new SignedFormat(accepted, emit));
    return {
      write: (chunk) => deframer.write(chunk),
      close: () => deframer.close(),
    };
  }, { chunksAhead: 1 });
}

const STAGE = "verifySignature";
const CANNOT = "Cannot verify the signature";

/** What the frames of a signed stream mean. */
class SignedFormat implements DeframerFormat {
  readonly stage = STAGE;
  readonly cannot = CANNOT;
  readonly magic = SIGNED_MAGIC;
  readonly overheadBytes = SIGNATURE_BYTES;
  readonly #accepted: readonly CryptoKey[];
  readonly #emit: Emit;
  #header: Uint8Array | undefined;
  #key: CryptoKey | undefined;

  constructor(accepted: readonly CryptoKey[], emit: Emit) {
    this.#accepted = accepted;
    this.#emit = emit;
  }

  notThis(start: Uint8Array): StageError {
    return hasMagic(start, HEADER_MAGIC)
      ? error("STAGE_UNSIGNED", "it is an image without a signature", 0)
      : error("STAGE_FORMAT", "it is not a signed stream", 0);
  }

  async header(header: Uint8Array<ArrayBuffer>): Promise<void> {
    const view = viewOf(header);
    const { algorithm, reserved, streamId, fingerprint, reservedEnd, crc } =
      SIGNED_HEADER;
    if (
      view.getUint32(algorithm, true) !== ED25519 ||
      !isZero(header.subarray(reserved, streamId)) ||
      !isZero(header.subarray(reservedEnd, crc))
    ) {
      throw error("STAGE_DAMAGED", "its header makes no sense", 0);
    }
    const signer = header.subarray(fingerprint, fingerprint + ID_BYTES).toHex();
    this.#header = header;
    for (const key of this.#accepted) {
      if (await keyFingerprint(key) === signer) this.#key = key;
    }
    if (this.#key) return;
    throw error(
      "STAGE_SIGNER",
      `it was signed by the key ${signer}, which is not accepted`,
      fingerprint,
    );
  }

  async frame(
    body: Uint8Array<ArrayBuffer>,
    place: FramePlace,
    offset: number,
  ): Promise<void> {
    const chunk = body.subarray(0, body.length - SIGNATURE_BYTES);
    const isGenuine = await crypto.subtle.verify(
      SIGNING_ALGORITHM,
      this.#key!,
      body.subarray(chunk.length),
      signedMessage(this.#header!, place, chunk),
    );
    if (!isGenuine) {
      const reason = `frame ${place.index} is not what was signed there`;
      throw error("STAGE_TAMPERED", reason, offset);
    }
    // The body is used again, and the reader may keep what it gets.
    await this.#emit(new Uint8Array(chunk));
  }
}

function error(
  code: StageErrorCode,
  reason: string,
  offset: number,
): StageError {
  return new StageError(code, `${CANNOT}: ${reason}`, { stage: STAGE, offset });
}
