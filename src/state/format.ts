/**
 * The numbers of the image format. docs/image-format.md explains each.
 *
 * @module
 */

/** The version of the format that is written. */
export const FORMAT_VERSION = 1;

/** The oldest version a reader must know to read what is written. */
export const MIN_READER_VERSION = 1;

/** What data is aligned to at least, so that it can be mapped. */
export const PAGE_SIZE_BYTES = 4096;

/** What data may be aligned to at most: a large page. */
export const MAX_DATA_ALIGN_BYTES: number = 2 * 1024 ** 2;

/** What section headers and the trailer are aligned to. */
export const ALIGN_BYTES = 8;

/** The only architecture there is. */
export const ARCHITECTURE = "x86_64";

/** The kind of the section that lists all others. */
export const INDEX_KIND = "index";

/** Most bytes that a section's payload may have. */
export const MAX_PAYLOAD_BYTES: number = 16 * 1024 ** 2;

/** Most bytes of data that a section may have. */
export const MAX_DATA_BYTES: number = 64 * 1024 ** 2;

/** Most sections, without the index: 4 TiB of data. */
export const MAX_SECTIONS = 65_536;

/** Most bytes that the payloads of one image may have together. */
export const MAX_TOTAL_PAYLOAD_BYTES: number = 256 * 1024 ** 2;

/** Where the fields of the image's header are. */
export const HEADER = {
  magic: 0,
  formatVersion: 8,
  headerBytes: 12,
  pageSizeBytes: 16,
  minReaderVersion: 20,
  architecture: 24,
  creator: 40,
  reserved: 104,
  crc: 124,
  sizeBytes: 128,
} as const;

/** How long the texts of the image's header may be. */
export const HEADER_TEXT_BYTES = { architecture: 16, creator: 64 } as const;

/** Where the fields of a section's header are. */
export const SECTION = {
  magic: 0,
  sequence: 4,
  version: 8,
  part: 12,
  flags: 16,
  payloadBytes: 20,
  payloadCrc: 24,
  dataCrc: 28,
  dataBytes: 32,
  kind: 40,
  id: 64,
  dataAlignBytes: 112,
  reserved: 116,
  crc: 124,
  sizeBytes: 128,
} as const;

/** How long the texts of a section's header may be. */
export const SECTION_TEXT_BYTES = { kind: 24, id: 48 } as const;

/** Where the fields of the trailer are. */
export const TRAILER = {
  magic: 0,
  indexOffset: 8,
  totalBytes: 16,
  digest: 24,
  reserved: 56,
  crc: 60,
  sizeBytes: 64,
} as const;

/** The first bytes of an image: one that is not ASCII, "SVM", CR LF SUB LF. */
export const HEADER_MAGIC: Uint8Array = Uint8Array.of(
  ...[0x89, 0x53, 0x56, 0x4d, 0x0d, 0x0a, 0x1a, 0x0a],
);

/** The first bytes of a section: "SECT". */
export const SECTION_MAGIC: Uint8Array = Uint8Array.of(0x53, 0x45, 0x43, 0x54);

/** The first bytes of the trailer: one that is not ASCII, "SVMEND", LF. */
export const TRAILER_MAGIC: Uint8Array = Uint8Array.of(
  ...[0x89, 0x53, 0x56, 0x4d, 0x45, 0x4e, 0x44, 0x0a],
);

/** The smallest multiple of `unit` that is not below `offset`. */
export function alignUp(offset: number, unit: number): number {
  return Math.ceil(offset / unit) * unit;
}
