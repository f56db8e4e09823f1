/**
 * A second reader, made from docs/image-format.md alone: it imports nothing of
 * what it checks, and no library.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  ALIGN_BYTES,
  HEADER,
  HEADER_MAGIC,
  MAX_DATA_BYTES,
  MAX_PAYLOAD_BYTES,
  SECTION,
  SECTION_MAGIC,
  TRAILER,
  TRAILER_MAGIC,
} from "../../src/state/format.ts";
import {
  imageOf,
  payload,
  readStream,
  sampleComponents,
} from "./sample_image.ts";

type Bytes = Uint8Array<ArrayBuffer>;

function crc32(bytes: Bytes): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
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

interface Found {
  kind: string;
  id: string;
  version: number;
  part: number;
  value: unknown;
  data: Bytes;
}

/** Reads an image, and throws when anything is not as documented. */
async function readByTheBook(image: Bytes): Promise<Found[]> {
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

const DOC = await Deno.readTextFile(
  new URL("../../docs/image-format.md", import.meta.url),
);

/** A file of golden/, which later versions must be able to read forever. */
function golden(name: string): Bytes {
  return Deno.readFileSync(new URL(`golden/${name}`, import.meta.url));
}

/** Rows of the table under a heading of the document: their cells. */
function table(heading: string): string[][] {
  const section = DOC.split(`\n## ${heading}\n`)[1].split("\n## ")[0];
  return section.split("\n")
    .filter((line) => /^\| +\d+ \|/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("image-format.md: the checksum it names is the one in use", () => {
  assertEquals(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

Deno.test("image-format.md: a reader made from it reads what is written", async () => {
  const bytes = await imageOf(sampleComponents());
  const found = await readByTheBook(bytes);
  const { sections, data } = await readStream(bytes);
  assertEquals(
    found.map(({ kind, id, version, part }) => ({ kind, id, version, part })),
    sections.map(({ kind, id, version, part }) => ({
      kind,
      id,
      version,
      part,
    })),
  );
  assertEquals(found.map((section) => section.data), data);
  assertEquals(found[0].value, { monotonicNs: 123456789 });
  const register = found.at(-1)!.value as { rax: bigint };
  assertEquals(register.rax, 0xffff_ffff_ffff_ffffn);
});

Deno.test("image-format.md: its tables give the offsets in use, without gaps", () => {
  for (
    const [heading, layout] of [
      ["Header", HEADER],
      ["Section", SECTION],
      ["Trailer", TRAILER],
    ] as const
  ) {
    const rows = table(heading);
    const { sizeBytes, ...fields } = layout;
    assertEquals(
      Object.fromEntries(rows.map(([at, , name]) => [name, Number(at)])),
      fields,
    );
    let at = 0;
    for (const [offset, size] of rows) {
      assertEquals(Number(offset), at);
      at += Number(size);
    }
    assertEquals(at, sizeBytes);
  }
  for (const limit of [MAX_DATA_BYTES, MAX_PAYLOAD_BYTES]) {
    assert(DOC.includes(`at most ${limit.toLocaleString("en")}`));
  }
  assert(DOC.includes(`128 bytes at a multiple of ${ALIGN_BYTES}.`));
});

Deno.test("image-format.md: its magic numbers are those in use", () => {
  for (const magic of [HEADER_MAGIC, SECTION_MAGIC, TRAILER_MAGIC]) {
    const hex = [...magic].map((b) => b.toString(16).padStart(2, "0"));
    assert(DOC.includes(`\`${hex.join(" ").toUpperCase()}\``));
  }
});

Deno.test("image-format.md: its example is the image it says it is", async () => {
  const dump = DOC.split("## A worked example")[1].split("```")[1];
  const bytes = Uint8Array.fromHex(
    [...dump.matchAll(/^0x[0-9a-f]{3} {2}((?:[0-9a-f]{2} ){16})/gm)]
      .map(([, hex]) => hex.replaceAll(" ", "")).join(""),
  );
  const state = payload("clock", "clock", { monotonicNs: 123456789 });
  assertEquals(bytes, await imageOf([state]));
  assertEquals(bytes, golden("format_1_clock.image"));
  assertEquals((await readByTheBook(bytes))[0].kind, "clock");
});

Deno.test("image: the golden image of format 1 is read, and still written so", async () => {
  const bytes = golden("format_1_sample.image");
  const { sections, data } = await readStream(bytes);
  assertEquals(sections.length, 6);
  assertEquals(data.map((piece) => piece.length), [0, 4096, 4096, 0, 101, 0]);
  await readByTheBook(bytes);
  // Format 1 has one encoding: a change of it must be a new format.
  assertEquals(await imageOf(sampleComponents()), bytes);
});
