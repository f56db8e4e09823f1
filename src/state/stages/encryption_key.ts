/**
 * The keys of an encrypted stream, from a passphrase or a key.
 *
 * @module
 */

import { StageError } from "./errors.ts";

/** What encrypts and decrypts: one of the two. */
export type EncryptionSecret =
  | {
    /** A text that is hard to guess; taken as UTF-8 of its NFC. */
    readonly passphrase: string;
    readonly key?: undefined;
  }
  | {
    /**
     * 32 random bytes; or a CryptoKey: one for HKDF that may derive bits, or an
     * extractable secret of 32 bytes.
     */
    readonly key: CryptoKey | Uint8Array;
    readonly passphrase?: undefined;
  };

/** The number of how a key comes from a secret, as the header has it. */
export const KDF = { key: 0, passphrase: 1 } as const;

/** How often PBKDF2 hashes: what OWASP advises for HMAC-SHA-256 since 2023. */
export const DEFAULT_ITERATIONS = 600_000;

/** The fewest that are written or read: fewer are too easy to guess. */
export const MIN_ITERATIONS = 100_000;

/** The most: a header from elsewhere decides how long it takes. */
export const MAX_ITERATIONS = 10_000_000;

/** Length of a key. */
const KEY_BYTES = 32;

/** What ties the derived keys to this use of a secret. */
const KEY_INFO = new TextEncoder().encode("ScratchVM encrypted stream v1");

/** What one stream is encrypted with. */
export interface StreamKeys {
  /** For AES-256-GCM: 32 bytes, for nobody else. */
  readonly key: Uint8Array<ArrayBuffer>;
  /** Stands in the header: another secret gives another one. */
  readonly check: Uint8Array;
}

/**
 * Checks a secret as far as that can be done at once, and copies it.
 *
 * @param stage how errors call the stage
 * @throws {StageError} STAGE_KEY when it is none
 */
export function checkSecret(
  secret: EncryptionSecret,
  stage: string,
): EncryptionSecret {
  const { passphrase, key } = secret;
  if (typeof passphrase === "string" && key === undefined) {
    if (passphrase !== "") return { passphrase };
    throw keyError(stage, "the passphrase is empty");
  }
  if (passphrase === undefined && key instanceof CryptoKey) return { key };
  if (passphrase === undefined && key instanceof Uint8Array) {
    if (key.length === KEY_BYTES) return { key: new Uint8Array(key) };
    throw keyError(
      stage,
      `the key has ${key.length} bytes, must have ${KEY_BYTES}`,
    );
  }
  throw keyError(stage, "either a passphrase or a key must be given");
}

/**
 * The keys of one stream.
 *
 * @param secret as {@linkcode checkSecret} gave it
 * @param salt of the stream
 * @param iterations for a passphrase: how often PBKDF2 hashes
 * @param stage how errors call the stage
 * @throws {StageError} STAGE_KEY when the secret cannot be used
 */
export async function deriveKeys(
  secret: EncryptionSecret,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
  stage: string,
): Promise<StreamKeys> {
  const material = secret.passphrase !== undefined
    ? await fromPassphrase(secret.passphrase, salt, iterations)
    : await fromKey(secret.key, stage);
  const derived = new Uint8Array(
    await crypto.subtle.deriveBits(
      { name: "HKDF", hash: "SHA-256", salt, info: KEY_INFO },
      material,
      2 * KEY_BYTES * 8,
    ),
  );
  const key = derived.slice(0, KEY_BYTES);
  return { key, check: derived.slice(KEY_BYTES) };
}

async function fromPassphrase(
  passphrase: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<CryptoKey> {
  const text = new TextEncoder().encode(passphrase.normalize("NFC"));
  const password = await crypto.subtle.importKey("raw", text, "PBKDF2", false, [
    "deriveBits",
  ]);
  const bits = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations },
    password,
    KEY_BYTES * 8,
  );
  return await importMaterial(new Uint8Array(bits));
}

async function fromKey(
  key: CryptoKey | Uint8Array,
  stage: string,
): Promise<CryptoKey> {
  if (key instanceof Uint8Array) {
    return await importMaterial(new Uint8Array(key));
  }
  if (key.algorithm.name === "HKDF" && key.usages.includes("deriveBits")) {
    return key;
  }
  if (key.type !== "secret" || !key.extractable) {
    throw keyError(
      stage,
      "the CryptoKey is neither for HKDF with deriveBits, nor an extractable secret",
    );
  }
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", key));
  if (raw.length === KEY_BYTES) return await importMaterial(raw);
  throw keyError(
    stage,
    `the key has ${raw.length} bytes, must have ${KEY_BYTES}`,
  );
}

function importMaterial(raw: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
}

function keyError(stage: string, reason: string): StageError {
  return new StageError("STAGE_KEY", `Cannot ${stage}: ${reason}`, { stage });
}
