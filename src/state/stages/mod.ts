/**
 * The stages of pipelines: what can stand between an image's bytes and where
 * they go. docs/pipelines.md describes each.
 *
 * @module
 */

export { StageError, type StageErrorCode } from "./errors.ts";
export { gunzip, type GunzipOptions, gzip, type GzipOptions } from "./gzip.ts";
export type { Stage } from "./stage.ts";
export {
  zstdCompress,
  type ZstdCompressOptions,
  zstdDecompress,
  type ZstdDecompressOptions,
} from "./zstd.ts";
