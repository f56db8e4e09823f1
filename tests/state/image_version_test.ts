import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { crc32 } from "node:zlib";
import { ImageError, ImageFile } from "../../src/state/mod.ts";
import {
  errorsOf,
  Folder,
  imageOf,
  readStream,
  sampleComponents,
  thrownBy,
} from "./sample_image.ts";

/** An image whose header was changed, with its checksum made right again. */
async function withHeader(
  change: (view: DataView, bytes: Uint8Array) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await imageOf(sampleComponents());
  const view = new DataView(bytes.buffer);
  change(view, bytes);
  view.setUint32(124, crc32(bytes.subarray(0, 124)), true);
  return bytes;
}

function putText(bytes: Uint8Array, offset: number, text: string): void {
  bytes.set(new TextEncoder().encode(text), offset);
}

Deno.test("image: one of a later format says who made it and what this reads", async () => {
  const bytes = await withHeader((view, bytes) => {
    view.setUint32(8, 7, true);
    view.setUint32(20, 7, true);
    putText(bytes, 40, "ScratchVM 9.9.9");
  });
  const { file, stream } = await errorsOf(bytes);
  for (const error of [file, stream]) {
    assertEquals(error.code, "IMAGE_VERSION");
    assertStringIncludes(
      error.message,
      "made by ScratchVM 9.9.9 in format 7, this reads up to 1",
    );
    assert(error.hint !== undefined);
  }
});

Deno.test("image: of a later format only the header is looked at", async () => {
  const bytes = await withHeader((view, bytes) => {
    view.setUint32(8, 2, true);
    view.setUint32(20, 2, true);
    putText(bytes, 24, "riscv64");
  });
  const { stream } = await errorsOf(bytes.slice(0, 128));
  assertEquals(stream.code, "IMAGE_VERSION");
});

Deno.test("image: a later format that old readers may read is no reason to refuse", async () => {
  // What is not known to be readable fails later, at the trailer's digest.
  const bytes = await withHeader((view) => view.setUint32(8, 7, true));
  const error = await thrownBy(() => readStream(bytes));
  assertStringIncludes(error.message, "the trailer");
});

Deno.test("image: one of another architecture, or page size, is refused", async () => {
  const other = await withHeader((_, bytes) => {
    bytes.fill(0, 24, 40);
    putText(bytes, 24, "aarch64");
  });
  const { file, stream } = await errorsOf(other);
  for (const error of [file, stream]) {
    assertEquals(error.code, "IMAGE_ARCHITECTURE");
    assertStringIncludes(error.message, "made for aarch64");
  }
  const large = await withHeader((view) => view.setUint32(16, 16384, true));
  assertEquals((await errorsOf(large)).file.code, "IMAGE_ARCHITECTURE");
});

Deno.test("image: a header that contradicts itself is damaged", async () => {
  for (
    const change of [
      (view: DataView) => view.setUint32(8, 0, true),
      (view: DataView) => view.setUint32(12, 256, true),
      (view: DataView) => view.setUint32(20, 2, true),
      (_: DataView, bytes: Uint8Array) => void (bytes[40] = 0x1b),
      (_: DataView, bytes: Uint8Array) => void bytes.fill(0, 24, 40),
    ]
  ) {
    assertEquals(
      (await errorsOf(await withHeader(change))).file.code,
      "IMAGE_CORRUPT",
    );
  }
});

Deno.test("image: what is no image is called that", async () => {
  const elf = new Uint8Array(4096);
  elf.set([0x7f, 0x45, 0x4c, 0x46]);
  for (
    const bytes of [elf, new Uint8Array(1), new TextEncoder().encode("hello")]
  ) {
    const { file, stream } = await errorsOf(bytes);
    assertEquals(file.code, "IMAGE_NOT_AN_IMAGE");
    assertEquals(stream.code, "IMAGE_NOT_AN_IMAGE");
  }
});

Deno.test("image: an empty file is called empty", async () => {
  const { file } = await errorsOf(new Uint8Array());
  assertEquals(file.code, "IMAGE_TRUNCATED");
  assertStringIncludes(file.message, "it is empty");
});

Deno.test("image: converted line ends are recognised", async () => {
  const image = await imageOf(sampleComponents());
  const text = [...image];
  const unix = text.filter((byte, i) => byte !== 13 || text[i + 1] !== 10);
  const dos = text.flatMap((byte) => byte === 10 ? [13, 10] : [byte]);
  for (const converted of [unix, dos]) {
    const { stream } = await errorsOf(Uint8Array.from(converted));
    assertEquals(stream.code, "IMAGE_NOT_AN_IMAGE");
    assertStringIncludes(stream.hint ?? "", "binary mode");
  }
});

Deno.test("image: flags of a section that are not known are not passed over", async () => {
  const bytes = await imageOf(sampleComponents());
  const view = new DataView(bytes.buffer);
  view.setUint32(128 + 16, 2, true);
  view.setUint32(128 + 124, crc32(bytes.subarray(128, 128 + 124)), true);
  assertEquals((await errorsOf(bytes)).file.code, "IMAGE_VERSION");
});

Deno.test("image: a path that leads to no image is an error with its reason", async () => {
  using folder = new Folder();
  for (const path of [folder.path("absent"), folder.root, "/dev/zero"]) {
    const error = await thrownBy(() => ImageFile.open(path));
    assert(error instanceof ImageError);
    assertEquals(error.code, "IMAGE_IO");
    assertStringIncludes(error.message, JSON.stringify(path));
    assert(error.cause instanceof Error);
  }
});
