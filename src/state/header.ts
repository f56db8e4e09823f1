/**
 * The header of an image: frozen, so that any later version can read it.
 *
 * @module
 */

import { ImageError } from "./errors.ts";
import {
  crcFits,
  fitsField,
  getText,
  hasMagic,
  putCrc,
  putText,
  viewOf,
} from "./fields.ts";
import {
  ARCHITECTURE,
  FORMAT_VERSION,
  HEADER,
  HEADER_MAGIC,
  HEADER_TEXT_BYTES,
  MIN_READER_VERSION,
  PAGE_SIZE_BYTES,
} from "./format.ts";
import { ENCRYPTED_MAGIC } from "./stages/encrypted_stream.ts";
import { SIGNED_MAGIC } from "./stages/signed_stream.ts";

/** What the header of an image says. */
export interface ImageHeader {
  /** The version of the format it was written in. */
  readonly formatVersion: number;
  /** The oldest version a reader must know. */
  readonly minReaderVersion: number;
  /** What data is aligned to, in bytes. */
  readonly pageSizeBytes: number;
  /** The architecture of the machine in it, such as "x86_64". */
  readonly architecture: string;
  /** What wrote it, such as "ScratchVM 0.1.0". */
  readonly creator: string;
}

/**
 * The header of a new image.
 *
 * @param creator what writes it: printable ASCII, at most 64 bytes
 * @throws {ImageError} IMAGE_COMPONENT when `creator` does not fit
 */
export function encodeHeader(creator: string): Uint8Array<ArrayBuffer> {
  if (!fitsField(creator, HEADER_TEXT_BYTES.creator)) {
    throw new ImageError(
      "IMAGE_COMPONENT",
      `Cannot write image: the creator's name must be 1 to ${HEADER_TEXT_BYTES.creator} printable ASCII characters`,
    );
  }
  const bytes = new Uint8Array(HEADER.sizeBytes);
  const view = viewOf(bytes);
  bytes.set(HEADER_MAGIC, HEADER.magic);
  view.setUint32(HEADER.formatVersion, FORMAT_VERSION, true);
  view.setUint32(HEADER.headerBytes, HEADER.sizeBytes, true);
  view.setUint32(HEADER.pageSizeBytes, PAGE_SIZE_BYTES, true);
  view.setUint32(HEADER.minReaderVersion, MIN_READER_VERSION, true);
  putText(bytes, HEADER.architecture, ARCHITECTURE);
  putText(bytes, HEADER.creator, creator);
  putCrc(bytes, HEADER.crc);
  return bytes;
}

/**
 * Reads a header, and refuses what cannot be read further.
 *
 * @param bytes the first 128 bytes, or all there are if there are fewer
 * @param name how errors call the image
 * @throws {ImageError} when this is no image, a damaged or truncated one, one
 * that needs a later version, or one for another architecture
 */
export function decodeHeader(bytes: Uint8Array, name: string): ImageHeader {
  const cannot = `Cannot read ${name}`;
  checkMagic(bytes, cannot);
  if (bytes.length < HEADER.sizeBytes) {
    throw new ImageError(
      "IMAGE_TRUNCATED",
      `${cannot}: it ends at byte ${bytes.length}, inside its header`,
      { section: "header", offset: bytes.length },
    );
  }
  const view = viewOf(bytes);
  const formatVersion = view.getUint32(HEADER.formatVersion, true);
  const minReaderVersion = view.getUint32(HEADER.minReaderVersion, true);
  const pageSizeBytes = view.getUint32(HEADER.pageSizeBytes, true);
  const { architecture: archBytes, creator: creatorBytes } = HEADER_TEXT_BYTES;
  const architecture = getText(bytes, HEADER.architecture, archBytes);
  const creator = getText(bytes, HEADER.creator, creatorBytes);
  if (
    !crcFits(bytes, HEADER.crc) || architecture === undefined ||
    creator === undefined || formatVersion < 1 || minReaderVersion < 1 ||
    minReaderVersion > formatVersion ||
    view.getUint32(HEADER.headerBytes, true) !== HEADER.sizeBytes
  ) {
    throw damaged(cannot);
  }
  // Compared first: of a later format nothing but these fields is known.
  if (minReaderVersion > FORMAT_VERSION) {
    throw new ImageError(
      "IMAGE_VERSION",
      `${cannot}: made by ${creator} in format ${formatVersion}, this reads up to ${FORMAT_VERSION}`,
      {
        section: "header",
        offset: HEADER.formatVersion,
        hint: "use the version that made it, or a later one",
      },
    );
  }
  if (architecture !== ARCHITECTURE || pageSizeBytes !== PAGE_SIZE_BYTES) {
    throw new ImageError(
      "IMAGE_ARCHITECTURE",
      `${cannot}: made for ${architecture} with pages of ${pageSizeBytes} bytes, this runs ${ARCHITECTURE} with pages of ${PAGE_SIZE_BYTES}`,
      { section: "header", offset: HEADER.architecture },
    );
  }
  return {
    formatVersion,
    minReaderVersion,
    pageSizeBytes,
    architecture,
    creator,
  };
}

/** Tells what is no image from an image that is short or damaged. */
function checkMagic(bytes: Uint8Array, cannot: string): void {
  const found = bytes.subarray(0, HEADER_MAGIC.length);
  if (bytes.length === 0) {
    throw new ImageError("IMAGE_TRUNCATED", `${cannot}: it is empty`, {
      section: "header",
      offset: 0,
    });
  }
  if (found.every((byte, i) => byte === HEADER_MAGIC[i])) return;
  if (bytes.length >= HEADER.sizeBytes) {
    // If all else is a header then only the first bytes were damaged.
    const mended = bytes.slice(0, HEADER.sizeBytes);
    mended.set(HEADER_MAGIC, HEADER.magic);
    if (crcFits(mended, HEADER.crc)) throw damaged(cannot);
  }
  throw new ImageError(
    "IMAGE_NOT_AN_IMAGE",
    `${cannot}: it is not a ScratchVM image`,
    {
      section: "header",
      offset: 0,
      hint: looksConverted(bytes)
        ? "its line ends were converted: transfer it in binary mode"
        : hintFor(bytes),
    },
  );
}

/** What an image is that has been through stages (docs/pipelines.md). */
const STAGED: readonly [magic: Uint8Array, looks: string, back: string][] = [
  [ENCRYPTED_MAGIC, "an encrypted one", "decrypt()"],
  [SIGNED_MAGIC, "a signed one", "verifySignature()"],
  [Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), "zstd's", "zstdDecompress() or zstd"],
  [Uint8Array.of(0x1f, 0x8b), "gzip's", "gunzip() or gzip"],
];

/** What to do with bytes that are known. */
function hintFor(bytes: Uint8Array): string | undefined {
  const found = STAGED.find(([magic]) => hasMagic(bytes, magic));
  if (!found) return undefined;
  const [, looks, back] = found;
  return `its beginning is ${looks}: ${back} gives back what went in, see docs/pipelines.md`;
}

/** Whether CR LF became LF, or LF became CR LF, on the way. */
function looksConverted(bytes: Uint8Array): boolean {
  if (!hasMagic(bytes, HEADER_MAGIC.subarray(1, 4), 1)) return false;
  return hasMagic(bytes, Uint8Array.of(0x0a, 0x1a), 4) ||
    hasMagic(bytes, Uint8Array.of(0x0d, 0x0d, 0x0a), 4) ||
    hasMagic(bytes, Uint8Array.of(0x0d, 0x0a, 0x1a, 0x0d), 4);
}

function damaged(cannot: string): ImageError {
  return new ImageError("IMAGE_CORRUPT", `${cannot}: its header is damaged`, {
    section: "header",
    offset: 0,
  });
}
