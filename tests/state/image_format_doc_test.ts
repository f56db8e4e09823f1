/**
 * docs/image-format.md against the images that are written.
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
import { type Bytes, crc32, readByTheBook } from "./book_reader.ts";
import {
  imageOf,
  payload,
  readStream,
  sampleComponents,
} from "./sample_image.ts";

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
