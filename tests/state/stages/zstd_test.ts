import { assert, assertEquals, assertThrows } from "@std/assert";
import { zstdCompress, zstdDecompress } from "../../../mod.ts";
import { seeded } from "../../support.ts";
import {
  type Codec,
  comesBack,
  holdsBack,
  isTruncated,
} from "./compression.ts";
import {
  assertSameBytes,
  attempt,
  concat,
  cut,
  failsWith,
  hasTool,
  LENGTHS,
  reusing,
  sample,
  through,
  tool,
} from "./pipeline.ts";

const HAS_ZSTD = hasTool("zstd");
const SKIPPED = HAS_ZSTD ? "" : " (no zstd here)";

const CODEC: Codec = {
  name: "zstd",
  pack: zstdCompress,
  unpack: zstdDecompress,
};

Deno.test("zstd: what was compressed comes back, however it is cut", async () => {
  await comesBack(CODEC);
});

Deno.test("zstd: single bytes in, single bytes back", async () => {
  const bytes = sample(2000, seeded("zstd"));
  const singles = (all: Uint8Array) =>
    Array.from(all, (_, i) => all.subarray(i, i + 1));
  const packed = await through(singles(bytes), zstdCompress());
  assertSameBytes(await through(singles(packed), zstdDecompress()), bytes);
});

Deno.test("zstd: a higher level compresses more", async () => {
  const bytes = sample(500_000, seeded("zstd"));
  for (let i = 0; i < bytes.length; i++) bytes[i] &= 0x83;
  const fast = await through([bytes], zstdCompress({ level: 1 }));
  const small = await through([bytes], zstdCompress({ level: 19 }));
  assert(small.length < fast.length, `${small.length} ${fast.length}`);
});

Deno.test("zstd: what comes out comes in large chunks", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const pieces = Array.from({ length: 40 }, () => bytes);
  for (
    const stages of [[zstdCompress({ level: 1 })], [
      zstdCompress(),
      zstdDecompress(),
    ]]
  ) {
    let stream = reusing([...pieces, sample(1_000_000, seeded("zstd"))]);
    for (const stage of stages) stream = stream.pipeThrough(stage);
    const sizes: number[] = [];
    for await (const chunk of stream) sizes.push(chunk.length);
    assert(sizes.slice(0, -1).every((size) => size >= 65_536), `${sizes}`);
  }
});

Deno.test({
  name: `zstd: the tool reads what is written here${SKIPPED}`,
  ignore: !HAS_ZSTD,
  async fn() {
    const random = seeded("zstd");
    for (const length of LENGTHS) {
      const bytes = sample(length, random);
      const packed = await through(cut(bytes, random), zstdCompress());
      assertSameBytes(await tool("zstd", ["-dcq"], packed), bytes);
    }
  },
});

Deno.test({
  name: `zstd: what the tool writes is read here${SKIPPED}`,
  ignore: !HAS_ZSTD,
  async fn() {
    const random = seeded("zstd");
    for (const length of LENGTHS) {
      const bytes = sample(length, random);
      for (const args of [["-1"], ["-19", "--no-check"], ["-T2", "--long"]]) {
        const packed = await tool("zstd", ["-cq", ...args], bytes);
        const back = await through(cut(packed, random), zstdDecompress());
        assertSameBytes(back, bytes, `${args} ${length}`);
      }
    }
  },
});

Deno.test("zstd: frames one behind another are one stream, and others are skipped", async () => {
  const random = seeded("zstd");
  const parts = [sample(70_000, random), sample(0, random), sample(9, random)];
  // Skippable frames (RFC 8878, 3.1.2): one of five bytes, an empty one.
  const skip = [
    Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5),
    Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0),
  ];
  const packed = await Promise.all(
    parts.map((part) => through([part], zstdCompress())),
  );
  const stream = concat([
    ...[skip[0], packed[0], packed[1], skip[1], packed[2], skip[0]],
  ]);
  for (let round = 0; round < 10; round++) {
    const back = await through(cut(stream, random), zstdDecompress());
    assertSameBytes(back, concat(parts));
  }
});

Deno.test("zstd: damage that changes anything is found wherever it is", async () => {
  const random = seeded("zstd");
  const bytes = sample(3000, random);
  const packed = await through([bytes], zstdCompress());
  for (let at = 0; at < packed.length; at++) {
    const bad = new Uint8Array(packed);
    bad[at] ^= 1 << Math.floor(random() * 8);
    const { passed, error } = await attempt([bad], zstdDecompress());
    if (error === undefined) {
      // Some bits of a frame's header say how much memory it needs at most.
      assert(at < 10, `byte ${at}`);
      assertSameBytes(passed, bytes, `byte ${at}`);
      continue;
    }
    await failsWith(
      at < 4
        ? "STAGE_FORMAT"
        : ["STAGE_DAMAGED", "STAGE_TRUNCATED", "STAGE_LIMIT"],
      Promise.reject(error),
      `byte ${at}`,
    );
  }
});

Deno.test("zstd: a stream that is cut off anywhere is truncated", async () => {
  await isTruncated(CODEC, 600_000, [0, 1, 3, 4, 5, 8, 100], 4);
});

Deno.test("zstd: bytes behind the end are damage", async () => {
  const packed = await through([sample(100, seeded("zstd"))], zstdCompress());
  for (const rest of ["00000000", "0000000000", "68656c6c6f"]) {
    for (const join of [true, false]) {
      const parts = [packed, Uint8Array.fromHex(rest)];
      const pieces = join ? [concat(parts)] : parts;
      const error = await failsWith(
        "STAGE_DAMAGED",
        through(pieces, zstdDecompress()),
      );
      assertEquals(error.offset, packed.length);
    }
  }
  const short = through([packed, Uint8Array.of(0)], zstdDecompress());
  await failsWith(["STAGE_DAMAGED", "STAGE_TRUNCATED"], short);
});

Deno.test("zstd: what is not compressed is told from what is damaged", async () => {
  const text = new TextEncoder().encode("something else");
  await failsWith("STAGE_FORMAT", through([text], zstdDecompress()));
});

Deno.test("zstd: a few bytes do not become more than is read", async () => {
  const megabyte = new Uint8Array(2 ** 20);
  const zeros = Array.from({ length: 64 }, () => megabyte);
  const bomb = await through(zeros, zstdCompress());
  assert(bomb.length < 100_000, `${bomb.length}`);
  await holdsBack(CODEC, bomb);
  const all = zstdDecompress({ maxOutputBytes: 64 * 2 ** 20 });
  assertEquals((await through([bomb], all)).length, 64 * 2 ** 20);
});

Deno.test("zstd: a window that takes much memory is refused", async () => {
  // A frame whose header asks for 2 GiB, and one that says it is 2^62 long.
  for (
    const frame of ["28b52ffd 00 a8", "28b52ffd e0 0000000000000040"]
  ) {
    const bytes = Uint8Array.fromHex(frame.replaceAll(" ", ""));
    await failsWith("STAGE_LIMIT", through([bytes], zstdDecompress()));
  }
});

Deno.test("zstd: options out of their range are refused", () => {
  for (const level of [0, 23, 1.5, NaN]) {
    assertThrows(() => zstdCompress({ level }), RangeError);
  }
  for (const maxOutputBytes of [-1, NaN]) {
    assertThrows(() => zstdDecompress({ maxOutputBytes }), RangeError);
  }
});
