/**
 * Sections: one component's state, or one part of it, in the image.
 *
 * @module
 */

import type { StateSection } from "./component.ts";
import { crcFits, getText, getU64, hasMagic } from "./fields.ts";
import { putCrc, putText, viewOf } from "./fields.ts";
import {
  alignUp,
  MAX_DATA_ALIGN_BYTES,
  PAGE_SIZE_BYTES,
  SECTION,
  SECTION_MAGIC,
  SECTION_TEXT_BYTES,
} from "./format.ts";

/** Where a section is in the image and what it holds, without its payload. */
export interface SectionInfo {
  /** Its number, from 0, in the order of the image. */
  readonly sequence: number;
  /** The kind of component. */
  readonly kind: string;
  /** The component's name. */
  readonly id: string;
  /** The version of the component's state. */
  readonly version: number;
  /** Which part of the component's state this is, from 0. */
  readonly part: number;
  /** Where its header starts, in bytes from the start of the image. */
  readonly offset: number;
  /** How many bytes of CBOR follow the header. */
  readonly payloadBytes: number;
  /** CRC-32 of the payload. */
  readonly payloadCrc: number;
  /** What its data is aligned to: a power of two; 0 without data. */
  readonly dataAlignBytes: number;
  /** Where its data starts, a multiple of that; 0 without data. */
  readonly dataOffset: number;
  /** How many bytes of data there are. */
  readonly dataBytes: number;
  /** CRC-32 of the data; 0 without data. */
  readonly dataCrc: number;
}

/** A section and its payload. */
export interface Section extends SectionInfo, StateSection {}

/** What the header of a section says; where it stands says the rest. */
export type SectionHeader = Omit<SectionInfo, "offset" | "dataOffset">;

/** Where the payload of a section ends. */
export function payloadEnd(info: SectionInfo): number {
  return info.offset + SECTION.sizeBytes + info.payloadBytes;
}

/** Where the data of a section starts that begins at `offset`; 0 without. */
export function dataOffsetOf(
  offset: number,
  header: Pick<SectionHeader, "payloadBytes" | "dataBytes" | "dataAlignBytes">,
): number {
  return header.dataBytes === 0 ? 0 : alignUp(
    offset + SECTION.sizeBytes + header.payloadBytes,
    header.dataAlignBytes,
  );
}

/** Whether data may be aligned to `bytes`. */
export function isDataAlign(bytes: number): boolean {
  return bytes >= PAGE_SIZE_BYTES && bytes <= MAX_DATA_ALIGN_BYTES &&
    (bytes & (bytes - 1)) === 0;
}

/** How a section is called in messages: `memory "ram" part 3`. */
export function describeSection(
  section: { kind: string; id: string; part: number },
): string {
  const part = section.part > 0 ? ` part ${section.part}` : "";
  return `${section.kind} "${section.id}"${part}`;
}

/** Writes a section's header to the first 128 of `bytes`. */
export function encodeSectionHeader(
  bytes: Uint8Array,
  header: SectionHeader,
): void {
  const view = viewOf(bytes);
  bytes.fill(0, 0, SECTION.sizeBytes);
  bytes.set(SECTION_MAGIC, SECTION.magic);
  view.setUint32(SECTION.sequence, header.sequence, true);
  view.setUint32(SECTION.version, header.version, true);
  view.setUint32(SECTION.part, header.part, true);
  view.setUint32(SECTION.payloadBytes, header.payloadBytes, true);
  view.setUint32(SECTION.payloadCrc, header.payloadCrc, true);
  view.setUint32(SECTION.dataCrc, header.dataCrc, true);
  view.setBigUint64(SECTION.dataBytes, BigInt(header.dataBytes), true);
  view.setUint32(SECTION.dataAlignBytes, header.dataAlignBytes, true);
  putText(bytes, SECTION.kind, header.kind);
  putText(bytes, SECTION.id, header.id);
  putCrc(bytes.subarray(0, SECTION.sizeBytes), SECTION.crc);
}

/** Why a section's header was not understood. */
export type BadSectionHeader = "not a section" | "damaged" | "unknown flags";

/** Reads a section's header from its 128 bytes. */
export function decodeSectionHeader(
  bytes: Uint8Array,
): SectionHeader | BadSectionHeader {
  if (!crcFits(bytes, SECTION.crc)) {
    return hasMagic(bytes, SECTION_MAGIC) ? "damaged" : "not a section";
  }
  const view = viewOf(bytes);
  const kind = getText(bytes, SECTION.kind, SECTION_TEXT_BYTES.kind);
  const id = getText(bytes, SECTION.id, SECTION_TEXT_BYTES.id);
  const dataBytes = getU64(view, SECTION.dataBytes);
  const version = view.getUint32(SECTION.version, true);
  const dataAlignBytes = view.getUint32(SECTION.dataAlignBytes, true);
  if (
    !hasMagic(bytes, SECTION_MAGIC) || kind === undefined ||
    id === undefined || dataBytes === undefined || version === 0 ||
    !(dataBytes === 0 ? dataAlignBytes === 0 : isDataAlign(dataAlignBytes))
  ) {
    return "damaged";
  }
  // A flag changes what the bytes mean: an unknown one cannot be passed over.
  if (view.getUint32(SECTION.flags, true) !== 0) return "unknown flags";
  return {
    sequence: view.getUint32(SECTION.sequence, true),
    kind,
    id,
    version,
    part: view.getUint32(SECTION.part, true),
    payloadBytes: view.getUint32(SECTION.payloadBytes, true),
    payloadCrc: view.getUint32(SECTION.payloadCrc, true),
    dataBytes,
    dataAlignBytes,
    dataCrc: view.getUint32(SECTION.dataCrc, true),
  };
}
