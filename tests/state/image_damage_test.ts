import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { crc32 } from "node:zlib";
import {
  encrypt,
  generateSigningKeys,
  gzip,
  ImageError,
  ImageFile,
  sign,
  zstdCompress,
} from "../../src/state/mod.ts";
import { concat } from "../cli/bytes.ts";
import {
  component,
  errorsOf,
  Folder,
  imageOf,
  pattern,
  payload,
  readFile,
  readStream,
  sampleComponents,
  thrownBy,
} from "./sample_image.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where the sections of an image start and end, the index last. */
async function extents(
  bytes: Bytes,
): Promise<{ start: number; end: number }[]> {
  const { sections } = await readStream(bytes);
  const starts = sections.map((section) => section.offset);
  const index = Number(
    new DataView(bytes.buffer).getBigUint64(bytes.length - 56, true),
  );
  return [...starts, index].map((start, i) => ({
    start,
    end: starts[i + 1] ?? (i < starts.length ? index : bytes.length - 64),
  }));
}

/** Makes the checksum of the 128-byte header at `offset` right again. */
function mendCrc(bytes: Bytes, offset: number): void {
  new DataView(bytes.buffer).setUint32(
    offset + 124,
    crc32(bytes.subarray(offset, offset + 124)),
    true,
  );
}

async function assertCorrupt(bytes: Bytes, text: string): Promise<void> {
  const { file, stream } = await errorsOf(bytes);
  for (const error of [file, stream]) {
    assert(error instanceof ImageError, String(error));
    assertEquals(error.code, "IMAGE_CORRUPT");
    assertStringIncludes(error.message, text);
  }
}

Deno.test("image: cut at any byte it is truncated, and says where it ends", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  const bytes = await imageOf(sampleComponents());
  Deno.writeFileSync(path, bytes);
  for (let length = bytes.length - 1; length >= 0; length--) {
    Deno.truncateSync(path, length);
    const error = await thrownBy(() => ImageFile.open(path));
    assert(error instanceof ImageError, `${length}: ${error}`);
    assertEquals(error.code, "IMAGE_TRUNCATED", `${length}: ${error.message}`);
    assertEquals(error.offset, length);
    assert(error.section !== undefined);
  }
});

Deno.test("image: a stream cut at any byte is truncated", async () => {
  const bytes = await imageOf(sampleComponents());
  for (let length = bytes.length - 1; length >= 0; length -= 3) {
    const error = await thrownBy(() =>
      readStream(bytes.slice(0, length), 9000)
    );
    assert(error instanceof ImageError, `${length}: ${error}`);
    assertEquals(error.code, "IMAGE_TRUNCATED", `${length}: ${error.message}`);
    assertEquals(error.offset, length);
  }
});

Deno.test("image: any byte changed is found in the file, and named", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  const bytes = await imageOf(sampleComponents());
  Deno.writeFileSync(path, bytes);
  using file = Deno.openSync(path, { write: true });
  const put = (offset: number, byte: number) => {
    file.seekSync(offset, Deno.SeekMode.Start);
    file.writeSync(Uint8Array.of(byte));
  };
  for (let offset = 0; offset < bytes.length; offset++) {
    put(offset, bytes[offset] ^ (1 << (offset % 8)));
    const error = await thrownBy(() => readFile(path));
    assert(error instanceof ImageError, `${offset}: ${error}`);
    assertEquals(error.code, "IMAGE_CORRUPT", `${offset}: ${error.message}`);
    assert(error.section !== undefined && error.offset !== undefined);
    assert(error.offset <= offset, `${offset}: ${error.message}`);
    put(offset, bytes[offset]);
  }
  await readFile(path);
});

Deno.test("image: any byte changed is found in the stream", async () => {
  const bytes = await imageOf(sampleComponents());
  for (let offset = 0; offset < bytes.length; offset++) {
    bytes[offset] ^= 1 << (offset % 8);
    const error = await thrownBy(() => readStream(bytes, 100_000));
    assert(error instanceof ImageError, `${offset}: ${error}`);
    assertEquals(error.code, "IMAGE_CORRUPT", `${offset}: ${error.message}`);
    bytes[offset] ^= 1 << (offset % 8);
  }
  await readStream(bytes);
});

Deno.test("image: damaged data is found when it is read or checked, not before", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  const bytes = await imageOf(sampleComponents());
  const { sections } = await readStream(bytes);
  const memory = sections.find((section) => section.dataBytes > 0)!;
  bytes[memory.dataOffset + 100] ^= 1;
  Deno.writeFileSync(path, bytes);
  using image = await ImageFile.open(path);
  for (
    const work of [
      () => image.verifyData(),
      () => Promise.resolve().then(() => image.readData(memory)),
    ]
  ) {
    const error = await thrownBy(work);
    assert(error instanceof ImageError);
    assertEquals(error.code, "IMAGE_CORRUPT");
    assertEquals(error.section, 'memory "ram"');
    assertEquals(error.offset, memory.dataOffset);
  }
});

Deno.test("image: damaged padding before aligned data is found with the data", async () => {
  const dataAlignBytes = 2 * 1024 ** 2;
  const image = await imageOf([
    component("m", "m", {
      answer: "many",
      parts: [{ value: 1, data: [pattern(4096, 1)], dataAlignBytes }],
    }),
  ]);
  for (const at of [300, 70_000, dataAlignBytes - 1]) {
    const damaged = image.slice();
    damaged[at] ^= 1;
    const { file, stream } = await errorsOf(damaged);
    assertEquals([file.code, stream.code], ["IMAGE_CORRUPT", "IMAGE_CORRUPT"]);
    assertStringIncludes(file.message, "the padding after");
    assertEquals(
      file.message.replace(/"[^"]*damaged.img"/, "the stream"),
      stream.message,
    );
  }
});

Deno.test("image: the data of a file that became shorter is damaged", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  Deno.writeFileSync(path, await imageOf(sampleComponents()));
  using image = await ImageFile.open(path);
  Deno.truncateSync(path, 5000);
  assertEquals(
    (await thrownBy(() => image.verifyData())).code,
    "IMAGE_CORRUPT",
  );
});

/** Three sections of one size, so that they can change places. */
async function threeAlike(): Promise<Bytes> {
  return await imageOf([1, 2, 3].map((i) => payload("k", `c${i}`, { i })));
}

Deno.test("image: sections that changed places are found", async () => {
  const bytes = await threeAlike();
  const [a, b, c] = await extents(bytes);
  assertEquals(a.end - a.start, b.end - b.start);
  const swapped = concat(
    bytes.subarray(0, a.start),
    bytes.subarray(b.start, b.end),
    bytes.subarray(a.start, a.end),
    bytes.subarray(c.start),
  );
  await assertCorrupt(swapped, "is section 1, expected section 0");
});

Deno.test("image: a section that is there twice is found", async () => {
  const bytes = await threeAlike();
  const [, b] = await extents(bytes);
  const repeated = concat(
    bytes.subarray(0, b.end),
    bytes.subarray(b.start, b.end),
    bytes.subarray(b.end),
  );
  await assertCorrupt(repeated, "is section 1, expected section 2");
});

Deno.test("image: a section that takes the place of another is found", async () => {
  const bytes = await threeAlike();
  const [a, b] = await extents(bytes);
  bytes.copyWithin(b.start, a.start, a.end);
  await assertCorrupt(bytes, "is section 0, expected section 1");
});

Deno.test("image: a section that is left out is found", async () => {
  const bytes = await threeAlike();
  const [a, b, c] = await extents(bytes);
  for (
    const [start, end] of [[a.start, a.end], [b.start, b.end], [c.start, c.end]]
  ) {
    const dropped = concat(bytes.subarray(0, start), bytes.subarray(end));
    await assertCorrupt(dropped, "expected section");
  }
});

Deno.test("image: a section of another image is found", async () => {
  const bytes = await threeAlike();
  const other = await imageOf(
    [1, 9, 3].map((i) => payload("k", i === 9 ? "c2" : `c${i}`, { i })),
  );
  const [, b] = await extents(bytes);
  bytes.set(other.subarray(b.start, b.end), b.start);
  await assertCorrupt(bytes, "the index");
});

Deno.test("image: index and trailer of another image are found", async () => {
  const bytes = await imageOf([payload("k", "c", 1)]);
  const other = await imageOf([payload("k", "c", 2)]);
  const [, index] = await extents(bytes);
  bytes.set(other.subarray(index.start), index.start);
  await assertCorrupt(bytes, "the index");

  // The index fits here, and only the digest knows of the other header.
  const renamed = await imageOf([payload("k", "c", 1)]);
  renamed[40] ^= 1;
  mendCrc(renamed, 0);
  await assertCorrupt(renamed, "belongs to another image");
});

Deno.test("image: a trailer that points elsewhere is found", async () => {
  for (const field of [8, 16]) {
    const bytes = await threeAlike();
    const trailer = bytes.length - 64;
    const view = new DataView(bytes.buffer, trailer);
    view.setBigUint64(field, view.getBigUint64(field, true) + 8n, true);
    view.setUint32(60, crc32(bytes.subarray(trailer, trailer + 60)), true);
    await assertCorrupt(bytes, "belongs to another image");
  }
});

Deno.test("image: bytes after its end are found", async () => {
  const bytes = await threeAlike();
  await assertCorrupt(concat(bytes, new Uint8Array(1)), "after its end");
  await assertCorrupt(concat(bytes, bytes), "after its end");
});

Deno.test("image: lengths that lie are refused before anything is allocated", async () => {
  const bytes = await imageOf([
    component("memory", "ram", {
      answer: "many",
      parts: [{ value: 1, data: [pattern(4096, 1)] }],
    }),
  ]);
  const view = new DataView(bytes.buffer);
  const forge = async (change: () => void): Promise<string[]> => {
    const saved = bytes.slice();
    change();
    mendCrc(bytes, 128);
    const { file, stream } = await errorsOf(bytes);
    bytes.set(saved);
    for (const error of [file, stream]) {
      assert(error instanceof ImageError, String(error));
    }
    return [file.code, stream.code];
  };
  const corrupt = ["IMAGE_CORRUPT", "IMAGE_CORRUPT"];
  const truncated = ["IMAGE_TRUNCATED", "IMAGE_TRUNCATED"];
  const payloadBytes = 128 + 20;
  const dataBytes = 128 + 32;
  assertEquals(
    await forge(() => view.setUint32(payloadBytes, 2 ** 31, true)),
    corrupt,
  );
  assertEquals(
    await forge(() => view.setUint32(payloadBytes, 16 << 20, true)),
    truncated,
  );
  assertEquals(
    await forge(() => view.setBigUint64(dataBytes, 2n ** 63n, true)),
    corrupt,
  );
  assertEquals(
    await forge(() => view.setBigUint64(dataBytes, 2n ** 40n, true)),
    corrupt,
  );
  assertEquals(
    await forge(() => view.setBigUint64(dataBytes, 8n << 20n, true)),
    truncated,
  );
});

Deno.test("image: a component that is there twice is refused", async () => {
  const bytes = await threeAlike();
  const [, b] = await extents(bytes);
  // c2 becomes c1: "c" stands at 64, its digit at 65.
  bytes[b.start + 65] = "1".charCodeAt(0);
  mendCrc(bytes, b.start);
  await assertCorrupt(bytes, "does not belong there");
});

Deno.test("image: parts that are not in order are refused", async () => {
  const bytes = await imageOf(sampleComponents());
  const [, , second] = await extents(bytes);
  new DataView(bytes.buffer).setUint32(second.start + 12, 2, true);
  mendCrc(bytes, second.start);
  await assertCorrupt(bytes, "does not belong there");
});

Deno.test("image: names that could command a terminal are refused", async () => {
  const bytes = await threeAlike();
  const [a] = await extents(bytes);
  bytes[a.start + 64] = 0x1b;
  mendCrc(bytes, a.start);
  await assertCorrupt(bytes, "is damaged");
});

Deno.test("image: random bytes behind a good header never do worse than an ImageError", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const good = await imageOf(sampleComponents());
  const [a] = await extents(good);
  for (let round = 0; round < 300; round++) {
    const bytes = good.slice();
    const noise = pattern(64, seed + round);
    for (let i = 0; i < 8; i++) {
      // Anywhere in the first section's header, so that it looks whole.
      bytes[a.start + 4 + noise[i] % 120] = noise[8 + i];
    }
    mendCrc(bytes, a.start);
    const error = await thrownBy(() => readStream(bytes, 50_000));
    assert(error instanceof ImageError, `round ${round}: ${error}`);
  }
});

Deno.test("damage: an image that is still packed, encrypted or signed is named", async () => {
  const image = await imageOf(sampleComponents());
  const { privateKey } = await generateSigningKeys();
  for (
    const [stage, hint] of [
      [encrypt({ passphrase: "x" }), "an encrypted one: decrypt()"],
      [sign({ privateKey }), "a signed one: verifySignature()"],
      [zstdCompress(), "zstd's: zstdDecompress()"],
      [gzip(), "gzip's: gunzip()"],
    ] as const
  ) {
    const staged = await new Response(
      new Blob([image]).stream().pipeThrough(stage),
    ).bytes();
    const error = await thrownBy(() => readStream(staged));
    assert(error instanceof ImageError);
    assertEquals(error.code, "IMAGE_NOT_AN_IMAGE");
    assertStringIncludes(error.hint ?? "", hint);
  }
});
