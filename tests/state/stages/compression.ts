/**
 * What holds for every stage that compresses, and the one that undoes it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { seeded } from "../../support.ts";
import {
  assertSameBytes,
  cut,
  failsWith,
  LENGTHS,
  sample,
  through,
  turns,
} from "./pipeline.ts";

/** A stage of bytes. */
type Stage = TransformStream<Uint8Array, Uint8Array>;

/** A way to compress. */
export interface Codec {
  /** Its name, which seeds what is random. */
  readonly name: string;
  /** Compresses. */
  pack(options?: { level: number }): Stage;
  /** Undoes it. */
  unpack(options?: { maxOutputBytes: number }): Stage;
}

/** That what was compressed comes back, however it is cut. */
export async function comesBack({ name, pack, unpack }: Codec): Promise<void> {
  const random = seeded(name);
  for (const length of LENGTHS) {
    const bytes = sample(length, random);
    const level = 1 + Math.floor(random() * 6);
    const packed = await through(cut(bytes, random), pack({ level }));
    const back = await through(cut(packed, random), unpack());
    assertSameBytes(back, bytes, `${length} bytes`);
  }
}

/**
 * That a stream that is cut off anywhere is truncated.
 *
 * @param lengthBytes how much is compressed
 * @param starts where it is cut off at least, from its start
 * @param tailBytes where it is cut off too, from its end
 */
export async function isTruncated(
  { name, pack, unpack }: Codec,
  lengthBytes: number,
  starts: readonly number[],
  tailBytes: number,
): Promise<void> {
  const random = seeded(name);
  const packed = await through([sample(lengthBytes, random)], pack());
  const ends = [...starts, packed.length - tailBytes, packed.length - 1];
  for (let i = 0; i < 20; i++) ends.push(Math.floor(random() * packed.length));
  for (const end of ends) {
    const pieces = cut(packed.subarray(0, end), random);
    const error = await failsWith(
      "STAGE_TRUNCATED",
      through(pieces, unpack()),
      `${end}`,
    );
    assertEquals(error.offset, end);
    assertEquals(error.stage, unpack.name);
  }
}

/**
 * That few bytes which become many do not become more than is read, nor more
 * than is allowed.
 *
 * @param bomb becomes more than 4 MiB
 */
export async function holdsBack(
  { unpack }: Codec,
  bomb: Uint8Array<ArrayBuffer>,
): Promise<void> {
  // If it went on without a reader it would come upon its limit.
  const stage = unpack({ maxOutputBytes: 4 * 2 ** 20 });
  const writer = stage.writable.getWriter();
  let state = "waits";
  const written = writer.write(bomb).then(
    () => state = "written",
    () => state = "failed",
  );
  await turns(200);
  assertEquals(state, "waits");
  await stage.readable.cancel();
  await written;
  await failsWith(
    "STAGE_LIMIT",
    through([bomb], unpack({ maxOutputBytes: 4 * 2 ** 20 })),
  );
}
