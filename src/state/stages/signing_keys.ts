/**
 * Keys to sign with and to verify with: Ed25519 (RFC 8032).
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { nodeCrypto } from "../node_builtins.ts";
import { StageError } from "./errors.ts";

/** The name that WebCrypto has for the keys. */
export const SIGNING_ALGORITHM = "Ed25519";

/** Longer texts are no keys: those of Ed25519 have less than 200 bytes. */
const MAX_PEM_LENGTH = 16 * 1024;

/** What stands in the first line of a PEM text, by type of key (RFC 7468). */
const PEM_LABELS = { private: "PRIVATE KEY", public: "PUBLIC KEY" } as const;

/**
 * Makes a new pair of keys. They can be exported.
 *
 * @example
 * ```ts
 * import { exportKeyPem, generateSigningKeys } from "@scratchvm/scratchvm";
 *
 * const { publicKey } = await generateSigningKeys();
 * console.log(await exportKeyPem(publicKey));
 * ```
 */
export function generateSigningKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(
    SIGNING_ALGORITHM,
    true,
    ["sign", "verify"],
  ) as Promise<CryptoKeyPair>;
}

/**
 * Reads a private key: PKCS8 in PEM, as `openssl genpkey -algorithm ed25519`
 * writes it.
 *
 * @example
 * ```ts
 * import {
 *   exportKeyPem,
 *   generateSigningKeys,
 *   importSigningKey,
 * } from "@scratchvm/scratchvm";
 *
 * const { privateKey } = await generateSigningKeys();
 * const pem = await exportKeyPem(privateKey);
 * console.log((await importSigningKey(pem)).usages);
 * ```
 *
 * @throws {StageError} STAGE_KEY when it is none
 */
export function importSigningKey(pem: string): Promise<CryptoKey> {
  return importKey(pem, "private", "pkcs8", "sign");
}

/**
 * Reads a public key: SPKI in PEM, as `openssl pkey -pubout` writes it.
 *
 * @example
 * ```ts
 * import { importVerificationKey, keyFingerprint } from "@scratchvm/scratchvm";
 *
 * const key = await importVerificationKey(`
 * -----BEGIN PUBLIC KEY-----
 * MCowBQYDK2VwAyEA8rsULfygL2lh+KTLSTbs3/W+BIl23wlJLsYCEfv5j/I=
 * -----END PUBLIC KEY-----`);
 * console.log(await keyFingerprint(key));
 * ```
 *
 * @throws {StageError} STAGE_KEY when it is none
 */
export function importVerificationKey(pem: string): Promise<CryptoKey> {
  return importKey(pem, "public", "spki", "verify");
}

/**
 * A key as a PEM text: PKCS8 of a private one, which is not encrypted; SPKI of
 * a public one.
 *
 * @example
 * ```ts
 * import { exportKeyPem, generateSigningKeys } from "@scratchvm/scratchvm";
 *
 * const { publicKey } = await generateSigningKeys();
 * console.log(await exportKeyPem(publicKey));
 * ```
 *
 * @throws {StageError} STAGE_KEY when it cannot be exported
 */
export async function exportKeyPem(key: CryptoKey): Promise<string> {
  if (key.type !== "private" && key.type !== "public") {
    throw keyError("Cannot export the key", "it is no key of Ed25519");
  }
  const label = PEM_LABELS[key.type];
  const format = key.type === "private" ? "pkcs8" : "spki";
  const der = await exported(format, key, "Cannot export the key");
  const lines = der.toBase64().match(/.{1,64}/g)!;
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""]
    .join("\n");
}

/**
 * What a public key is called by: the SHA-256 of its SPKI, in hex digits.
 *
 * @example
 * ```ts
 * import { generateSigningKeys, keyFingerprint } from "@scratchvm/scratchvm";
 *
 * const { publicKey } = await generateSigningKeys();
 * console.log(await keyFingerprint(publicKey));
 * ```
 *
 * @throws {StageError} STAGE_KEY when it is no public key of Ed25519, or cannot
 * be exported
 */
export async function keyFingerprint(publicKey: CryptoKey): Promise<string> {
  const cannot = "Cannot take the key's fingerprint";
  checkKey(publicKey, "public", cannot);
  const spki = await exported("spki", publicKey, cannot);
  return nodeCrypto().createHash("sha256").update(spki).digest("hex");
}

/**
 * The public key of a private one.
 *
 * @throws {StageError} STAGE_KEY when it cannot be exported
 */
export async function publicKeyOf(privateKey: CryptoKey): Promise<CryptoKey> {
  let jwk: JsonWebKey;
  try {
    jwk = await crypto.subtle.exportKey("jwk", privateKey);
  } catch (cause) {
    throw keyError("Cannot sign", `the private key: ${reasonOf(cause)}`, {
      hint: "give its publicKey, too",
      cause,
    });
  }
  const { kty, crv, x } = jwk;
  return await crypto.subtle.importKey(
    "jwk",
    { kty, crv, x },
    SIGNING_ALGORITHM,
    true,
    ["verify"],
  );
}

/**
 * Checks that a key is one of Ed25519, and the right half.
 *
 * @throws {StageError} STAGE_KEY when it is not
 */
export function checkKey(
  key: CryptoKey,
  type: "private" | "public",
  cannot: string,
  stage = "sign",
): void {
  if (
    key instanceof CryptoKey && key.algorithm.name === SIGNING_ALGORITHM &&
    key.type === type
  ) return;
  throw keyError(cannot, `what was given is no ${type} key of Ed25519`, {
    stage,
  });
}

async function importKey(
  pem: string,
  type: "private" | "public",
  format: "pkcs8" | "spki",
  usage: "sign" | "verify",
): Promise<CryptoKey> {
  const cannot = `Cannot read the ${type} key`;
  const der = decodePem(pem, PEM_LABELS[type], cannot);
  try {
    return await crypto.subtle.importKey(
      format,
      der,
      SIGNING_ALGORITHM,
      true,
      [usage],
    );
  } catch (cause) {
    throw keyError(cannot, "it is no key of Ed25519", { cause });
  }
}

/** The bytes in a PEM text; what stands around the block is passed over. */
function decodePem(
  pem: string,
  label: string,
  cannot: string,
): Uint8Array<ArrayBuffer> {
  const block = pem.length > MAX_PEM_LENGTH
    ? null
    : /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/.exec(pem);
  if (!block) {
    throw keyError(cannot, "it is no PEM text", {
      hint: `one begins with -----BEGIN ${label}-----`,
    });
  }
  const [, found, base64] = block;
  if (found !== label) {
    throw keyError(cannot, `the PEM text holds a ${found}, not a ${label}`, {
      hint: found === "ENCRYPTED PRIVATE KEY"
        ? "decrypt it first, as `openssl pkey -in FILE` does"
        : undefined,
    });
  }
  try {
    return Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw keyError(cannot, "the PEM text is damaged", { cause });
  }
}

async function exported(
  format: "pkcs8" | "spki",
  key: CryptoKey,
  cannot: string,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await crypto.subtle.exportKey(format, key));
  } catch (cause) {
    throw keyError(cannot, reasonOf(cause), {
      hint: "import or make it as extractable",
      cause,
    });
  }
}

function keyError(
  cannot: string,
  reason: string,
  options: { stage?: string; hint?: string; cause?: unknown } = {},
): StageError {
  return new StageError("STAGE_KEY", `${cannot}: ${reason}`, {
    stage: "sign",
    ...options,
  });
}
