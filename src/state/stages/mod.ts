/**
 * The stages of pipelines: what can stand between an image's bytes and where
 * they go. docs/pipelines.md describes each.
 *
 * @module
 */

export { count, type CountStage } from "./count.ts";
export { decrypt, type DecryptOptions } from "./decrypt.ts";
export { encrypt, type EncryptOptions } from "./encrypt.ts";
export type { EncryptionSecret } from "./encryption_key.ts";
export { StageError, type StageErrorCode } from "./errors.ts";
export { gunzip, type GunzipOptions, gzip, type GzipOptions } from "./gzip.ts";
export { hash, type HashAlgorithm, type HashStage } from "./hash.ts";
export { type Progress, progress, type ProgressOptions } from "./progress.ts";
export {
  rateLimit,
  type RateLimitClock,
  type RateLimitOptions,
} from "./rate_limit.ts";
export { sign, type SignOptions } from "./sign.ts";
export {
  exportKeyPem,
  generateSigningKeys,
  importSigningKey,
  importVerificationKey,
  keyFingerprint,
} from "./signing_keys.ts";
export type { Stage } from "./stage.ts";
export { tee } from "./tee.ts";
export {
  verifySignature,
  type VerifySignatureOptions,
} from "./verify_signature.ts";
export {
  zstdCompress,
  type ZstdCompressOptions,
  zstdDecompress,
  type ZstdDecompressOptions,
} from "./zstd.ts";
