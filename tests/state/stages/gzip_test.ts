import { assertThrows } from "@std/assert";
import { gunzip, gzip } from "../../../mod.ts";
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
  sample,
  through,
  tool,
} from "./pipeline.ts";

const HAS_GZIP = hasTool("gzip");
const SKIPPED = HAS_GZIP ? "" : " (no gzip here)";

const CODEC: Codec = {
  name: "gzip",
  pack: gzip,
  unpack: gunzip,
};

Deno.test("gzip: what was compressed comes back, however it is cut", async () => {
  await comesBack(CODEC);
});

Deno.test({
  name:
    `gzip: the tool reads what is written here, and the other way${SKIPPED}`,
  ignore: !HAS_GZIP,
  async fn() {
    const random = seeded("gzip");
    for (const length of LENGTHS) {
      const bytes = sample(length, random);
      const packed = await through(cut(bytes, random), gzip());
      assertSameBytes(await tool("gzip", ["-dc"], packed), bytes);
      const theirs = await tool("gzip", ["-c"], bytes);
      assertSameBytes(await through(cut(theirs, random), gunzip()), bytes);
    }
  },
});

Deno.test("gzip: streams one behind another are one", async () => {
  const random = seeded("gzip");
  const parts = [sample(70_000, random), sample(0, random), sample(9, random)];
  const packed = await Promise.all(
    parts.map((part) => through([part], gzip())),
  );
  assertSameBytes(await through(packed, gunzip()), concat(parts));
  for (let round = 0; round < 10; round++) {
    const back = await through(cut(concat(packed), random), gunzip());
    assertSameBytes(back, concat(parts));
  }
});

Deno.test("gzip: damage that changes anything is found wherever it is", async () => {
  const random = seeded("gzip");
  const bytes = sample(3000, random);
  const packed = await through([bytes], gzip());
  for (let at = 0; at < packed.length; at++) {
    const bad = new Uint8Array(packed);
    bad[at] ^= 1 << Math.floor(random() * 8);
    const { passed, error } = await attempt([bad], gunzip());
    if (error === undefined) {
      // Some bits say nothing: the time, padding, codes that are not used.
      assertSameBytes(passed, bytes, `byte ${at}`);
      continue;
    }
    await failsWith(
      at < 2 ? "STAGE_FORMAT" : ["STAGE_DAMAGED", "STAGE_TRUNCATED"],
      Promise.reject(error),
      `byte ${at}`,
    );
  }
});

Deno.test("gzip: a stream that is cut off anywhere is truncated", async () => {
  await isTruncated(CODEC, 100_000, [0, 1, 2, 9, 10, 100], 8);
});

Deno.test("gzip: bytes behind the end are damage, zeros too", async () => {
  const packed = await through([sample(100, seeded("gzip"))], gzip());
  for (const rest of ["00", "0000000000", "0001", "05", "68656c6c6f", "1f8c"]) {
    for (const join of [true, false]) {
      const parts = [packed, Uint8Array.fromHex(rest)];
      const pieces = join ? [concat(parts)] : parts;
      await failsWith(
        ["STAGE_DAMAGED", "STAGE_TRUNCATED"],
        through(pieces, gunzip()),
        rest,
      );
    }
  }
});

Deno.test("gzip: what is not compressed is told from what is damaged", async () => {
  const text = new TextEncoder().encode("something else");
  await failsWith("STAGE_FORMAT", through([text], gunzip()));
  const single = [text.subarray(0, 1)];
  await failsWith("STAGE_FORMAT", through(single, gunzip()));
});

Deno.test("gzip: a few bytes do not become more than is read", async () => {
  const megabyte = new Uint8Array(2 ** 20);
  const zeros = Array.from({ length: 32 }, () => megabyte);
  const bomb = await through(zeros, gzip());
  await holdsBack(CODEC, bomb);
});

Deno.test("gzip: options out of their range are refused", () => {
  for (const level of [0, 10, 1.5, NaN]) {
    assertThrows(() => gzip({ level }), RangeError);
  }
});
