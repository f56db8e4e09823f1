/**
 * State that travels: the contract of components, the image format, its
 * writer and its readers. It knows nothing of machines.
 *
 * @module
 */

export { AtomicFile, type AtomicFileOptions } from "./atomic_file.ts";
export type {
  Component,
  Dump,
  Part,
  ShapeIssue,
  ShapeResult,
  StateSchema,
  StateSection,
  StateShape,
} from "./component.ts";
export { yieldToEventLoop } from "./chunk_writer.ts";
export { decodeState, toSection } from "./decode_state.ts";
export { ImageError, type ImageErrorCode } from "./errors.ts";
export {
  ARCHITECTURE,
  FORMAT_VERSION,
  MAX_DATA_BYTES,
  MAX_PAYLOAD_BYTES,
  PAGE_SIZE_BYTES,
} from "./format.ts";
export type { ImageHeader } from "./header.ts";
export {
  type FileIdentity,
  ImageFile,
  type VerifyProgress,
} from "./image_file.ts";
export {
  FileSink,
  type ImageSink,
  streamSink,
  type SyncWriter,
} from "./image_sink.ts";
export {
  readImage,
  readImageStream,
  type ReadStreamOptions,
} from "./image_stream.ts";
export { readableImage, type WriteTo } from "./readable_image.ts";
export { Spool } from "./spool.ts";
export type { ByteSource } from "./byte_source.ts";
export type { ImageVisitor } from "./image_walk.ts";
export {
  type ImageSummary,
  writeImage,
  type WriteOptions,
  type WriteProgress,
} from "./image_writer.ts";
export { nodeCrypto, nodeZlib } from "./node_builtins.ts";
export { decodePayload, encodePayload } from "./payload.ts";
export { printable } from "./printable.ts";
export { sameBytes } from "./same_bytes.ts";
export { saveImageFile, type SaveImageOptions } from "./save_image.ts";
export { describeSection, type Section, type SectionInfo } from "./section.ts";
export {
  bytePath,
  bytes,
  count,
  isOfBytes,
  rawPath,
  textPath,
  u32,
  u64,
} from "./schemas.ts";
export { SectionSet } from "./section_set.ts";
export {
  type Acceptor,
  type Connection,
  type End,
  type EndOptions,
  Guard,
  type ImageOrigin,
  type ImageTarget,
  isConnected,
  type Link,
  listenConnections,
  type ListenOptions,
  listenOrigin,
  openConnection,
  openOrigin,
  openTarget,
  OriginListener,
  parseEnd,
  REFUSAL,
  streamTarget,
  targetStream,
  type TlsOptions,
  TransportError,
  type TransportErrorCode,
  within,
} from "./transports/mod.ts";
// `count` is a schema here.
export {
  count as countStage,
  type CountStage,
  decrypt,
  type DecryptOptions,
  encrypt,
  type EncryptionSecret,
  type EncryptOptions,
  exportKeyPem,
  generateSigningKeys,
  gunzip,
  type GunzipOptions,
  gzip,
  type GzipOptions,
  hash,
  type HashAlgorithm,
  type HashStage,
  importSigningKey,
  importVerificationKey,
  keyFingerprint,
  type Progress,
  progress,
  type ProgressOptions,
  rateLimit,
  type RateLimitClock,
  type RateLimitOptions,
  sign,
  type SignOptions,
  type Stage,
  StageError,
  type StageErrorCode,
  tee,
  verifySignature,
  type VerifySignatureOptions,
  zstdCompress,
  type ZstdCompressOptions,
  zstdDecompress,
  type ZstdDecompressOptions,
} from "./stages/mod.ts";
