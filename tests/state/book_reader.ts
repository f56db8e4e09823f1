/**
 * A second reader, made from docs/image-format.md alone: it imports nothing of
 * what it checks, and no library but for zstd, which is not the document's.
 *
 * @module
 */

import { zstdDecompressSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";

/** Bytes that views can be made of. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What makes crc32 fast: the CRC-32 of each byte. */
const CRC_OF_BYTE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) {
    crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return crc;
});

/** CRC-32, as the document names it. */
export function crc32(bytes: Bytes): number {
  let crc = ~0;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ CRC_OF_BYTE[(crc ^ bytes[i]) & 0xff];
  }
  return ~crc >>> 0;
}

/** Decodes the CBOR that an image may hold. */
function cbor(bytes: Bytes): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const value = (): unknown => {
    const head = bytes[at++];
    const minor = head & 31;
    let n = BigInt(minor);
    if (minor >= 24) {
      const size = 1 << (minor - 24);
      n = 0n;
      for (let i = 0; i < size; i++) n = n << 8n | BigInt(bytes[at++]);
    }
    const count = Number(n);
    switch (head >> 5) {
      case 0:
        return Number.isSafeInteger(count) ? count : n;
      case 1:
        return Number.isSafeInteger(-1 - count) ? -1 - count : -1n - n;
      case 2:
        return bytes.slice(at, at += count);
      case 3:
        return new TextDecoder().decode(bytes.subarray(at, at += count));
      case 4:
        return Array.from({ length: count }, value);
      case 5:
        return Object.fromEntries(
          Array.from({ length: count }, () => [value(), value()]),
        );
      default:
        assertEquals(head >> 5, 7);
        if (minor === 27) return view.getFloat64(at - 8);
        return new Map([[20, false], [21, true], [22, null]]).get(minor);
    }
  };
  const decoded = value();
  assertEquals(at, bytes.length);
  return decoded;
}

/** A section, the index left out. */
export interface Found {
  kind: string;
  id: string;
  version: number;
  part: number;
  value: unknown;
  data: Bytes;
}

/** Reads an image, and throws when anything is not as documented. */
export async function readByTheBook(image: Bytes): Promise<Found[]> {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const u32 = (at: number) => view.getUint32(at, true);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const text = (at: number, size: number) =>
    new TextDecoder().decode(image.subarray(at, at + size)).replace(/\0+$/, "");
  const zeros = (from: number, to: number) =>
    assert(image.subarray(from, to).every((byte) => byte === 0));
  const up = (at: number, unit: number) => Math.ceil(at / unit) * unit;

  assertEquals(text(1, 3), "SVM");
  assertEquals([u32(8), u32(12), u32(16), u32(20)], [1, 128, 4096, 1]);
  assertEquals(text(24, 16), "x86_64");
  assertEquals(u32(124), crc32(image.subarray(0, 124)));

  const headers = [image.subarray(0, 128)];
  const found: Found[] = [];
  const listed: unknown[] = [];
  let at = 128;
  for (let sequence = 0;; sequence++) {
    assertEquals(text(at, 4), "SECT");
    assertEquals(u32(at + 4), sequence);
    assertEquals(u32(at + 16), 0);
    assertEquals(u32(at + 124), crc32(image.subarray(at, at + 124)));
    headers.push(image.subarray(at, at + 128));
    const payloadEnd = at + 128 + u32(at + 20);
    const payload = image.subarray(at + 128, payloadEnd);
    assertEquals(u32(at + 24), crc32(payload));
    const dataBytes = u64(at + 32);
    const start = dataBytes > 0 ? up(payloadEnd, u32(at + 112)) : payloadEnd;
    const data = image.subarray(start, start + dataBytes);
    assertEquals(u32(at + 28), crc32(data));
    zeros(payloadEnd, start);
    const end = up(start + dataBytes, 8);
    zeros(start + dataBytes, end);
    const [kind, id] = [text(at + 40, 24), text(at + 64, 48)];
    const [version, part] = [u32(at + 8), u32(at + 12)];
    const indexOffset = at;
    at = end;
    if (kind !== "index") {
      found.push({ kind, id, version, part, value: cbor(payload), data });
      listed.push({
        sequence,
        kind,
        id,
        version,
        part,
        offset: indexOffset,
        payloadBytes: payload.length,
        payloadCrc: crc32(payload),
        dataOffset: dataBytes > 0 ? start : 0,
        dataBytes,
        dataCrc: crc32(data),
      });
      continue;
    }
    assertEquals(cbor(payload), listed);
    assertEquals(text(at + 1, 6), "SVMEND");
    assertEquals(u64(at + 8), indexOffset);
    assertEquals(u64(at + 16), image.length);
    assertEquals(at + 64, image.length);
    assertEquals(u32(at + 60), crc32(image.subarray(at, at + 60)));
    const digest = await crypto.subtle.digest(
      "SHA-256",
      await new Blob(headers).arrayBuffer(),
    );
    assertEquals(new Uint8Array(digest), image.slice(at + 24, at + 56));
    return found;
  }
}

/** Bytes of a page. */
const PAGE = 4096;

/** Bytes of a block. */
const BLOCK = 2 * 1024 * 1024;

/** All of a VM's memory, from the sections of its image. */
export function memoryByTheBook(sections: readonly Found[]): Bytes {
  const parts = sections.filter(({ kind }) => kind === "memory");
  const states = parts.map(({ value }) =>
    value as { sizeBytes: number; encoding: string; runs: [number, number][] }
  );
  const memory = new Uint8Array(states[0].sizeBytes);
  states.forEach(({ encoding, runs }, i) => {
    const { data } = parts[i];
    const pages = encoding === "zstd" ? zstdDecompressSync(data) : data;
    let at = 0;
    for (const [gpa, count] of runs) {
      memory.set(pages.subarray(at, at += count * PAGE), gpa);
    }
    assertEquals(at, pages.length);
  });
  return memory;
}

/** What a program has at some of its addresses, which are in its areas. */
export function programBytesByTheBook(
  sections: readonly Found[],
  memory: Bytes,
  va: number,
  lengthBytes: number,
): Bytes {
  const space = sections.find(({ kind }) => kind === "address-space")!
    .value as { blocks: [number, number, number][] };
  const bytes = new Uint8Array(lengthBytes);
  for (let i = 0; i < lengthBytes; i++) {
    const at = Math.floor((va + i) / BLOCK);
    const run = space.blocks.find(([number, , count]) =>
      number <= at && at < number + count
    );
    if (run) bytes[i] = memory[run[1] + va + i - run[0] * BLOCK];
  }
  return bytes;
}
