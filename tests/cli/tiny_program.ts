/**
 * The smallest programs there are: an ELF file of one page, for tests that
 * damage programs, or want images of a few pages.
 *
 * @module
 */

import { concat } from "./bytes.ts";

/** Where the one segment is. */
const BASE_VA = 0x40_0000;

const EHDR_BYTES = 64;
const PHDR_BYTES = 56;

/** Calls SAVE(), then exits with what SAVE() returned (0, 1, or 255 for -1). */
export const SAVE_AND_EXIT: Uint8Array<ArrayBuffer> = Uint8Array.of(
  ...[0xb8, 0x01, 0x4d, 0x56, 0x53], // mov $SCRATCHVM_SAVE, %eax
  ...[0x0f, 0x05], // syscall
  ...[0x89, 0xc7], // mov %eax, %edi
  ...[0xb8, 0x3c, 0, 0, 0], // mov $SYS_exit, %eax
  ...[0x0f, 0x05], // syscall
);

/**
 * An x86-64 ELF file of `code`, with one program header. `patch` changes its
 * headers before they are returned.
 */
export function tinyElf(
  code: Uint8Array = SAVE_AND_EXIT,
  patch: (view: DataView<ArrayBuffer>) => void = () => {},
): Uint8Array<ArrayBuffer> {
  const start = EHDR_BYTES + PHDR_BYTES;
  const bytes = concat(new Uint8Array(start), code);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(FIELD.type, 2, true);
  view.setUint16(FIELD.machine, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(FIELD.entry, BigInt(BASE_VA + start), true);
  view.setBigUint64(FIELD.phoff, BigInt(EHDR_BYTES), true);
  view.setUint16(52, EHDR_BYTES, true);
  view.setUint16(FIELD.phentsize, PHDR_BYTES, true);
  view.setUint16(FIELD.phnum, 1, true);
  view.setUint32(FIELD.segmentType, 1, true);
  view.setUint32(FIELD.segmentType + 4, 5, true);
  view.setBigUint64(FIELD.segmentVa, BigInt(BASE_VA), true);
  view.setBigUint64(FIELD.segmentFileBytes, BigInt(bytes.length), true);
  view.setBigUint64(FIELD.segmentMemoryBytes, BigInt(bytes.length), true);
  patch(view);
  return bytes;
}

/** Where the fields are that tests change (elf(5)). */
export const FIELD = {
  class: 4,
  data: 5,
  type: 16,
  machine: 18,
  entry: 24,
  phoff: 32,
  phentsize: 54,
  phnum: 56,
  segmentType: EHDR_BYTES,
  segmentOffset: EHDR_BYTES + 8,
  segmentVa: EHDR_BYTES + 16,
  segmentFileBytes: EHDR_BYTES + 32,
  segmentMemoryBytes: EHDR_BYTES + 40,
} as const;
