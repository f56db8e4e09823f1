/**
 * Reading and writing the fixed fields of headers and trailer.
 *
 * @module
 */

import { crc32 } from "./node_builtins.ts";

/** A DataView over exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether `bytes` has `magic` at `offset`. */
export function hasMagic(
  bytes: Uint8Array,
  magic: Uint8Array,
  offset = 0,
): boolean {
  return magic.every((byte, i) => bytes[offset + i] === byte);
}

/** Whether every one of `bytes` is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 0) return false;
  }
  return true;
}

/** Whether `text` fits a field of `sizeBytes`: printable ASCII, not empty. */
export function fitsField(text: string, sizeBytes: number): boolean {
  return text.length <= sizeBytes && /^[\x20-\x7e]+$/.test(text);
}

/** Writes `text`, which fits, over zeros. */
export function putText(bytes: Uint8Array, offset: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[offset + i] = text.charCodeAt(i);
}

/**
 * The text in a field that is padded with NUL; `undefined` unless it is
 * printable ASCII, not empty, and only NUL after it. What is not printable
 * could do things to the terminal that shows it.
 */
export function getText(
  bytes: Uint8Array,
  offset: number,
  sizeBytes: number,
): string | undefined {
  const field = bytes.subarray(offset, offset + sizeBytes);
  const end = field.indexOf(0);
  const text = String.fromCharCode(
    ...(end < 0 ? field : field.subarray(0, end)),
  );
  if (!fitsField(text, sizeBytes)) return undefined;
  return end < 0 || isZero(field.subarray(end)) ? text : undefined;
}

/** A 64-bit number at `offset`; `undefined` when it is above 2^53 - 1. */
export function getU64(view: DataView, offset: number): number | undefined {
  const value = Number(view.getBigUint64(offset, true));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Writes the CRC-32 of all before `offset` to `offset`. */
export function putCrc(bytes: Uint8Array, offset: number): void {
  viewOf(bytes).setUint32(offset, crc32(bytes.subarray(0, offset)), true);
}

/** Whether the CRC-32 at `offset` is that of all before it. */
export function crcFits(bytes: Uint8Array, offset: number): boolean {
  return viewOf(bytes).getUint32(offset, true) ===
    crc32(bytes.subarray(0, offset));
}
