/**
 * Headers of frames, which are a peer's.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME,
  FRAME_HEADER,
  type FrameType,
  MAX_PAYLOAD_BYTES,
} from "../../src/migration/frames.ts";
import { seeded } from "../support.ts";

const TYPES: readonly FrameType[] = Object.values(FRAME);

function encoded(type: FrameType, lengthBytes: number, sequence: number) {
  const view = new DataView(new ArrayBuffer(FRAME_HEADER.sizeBytes));
  encodeFrameHeader(view, { type, lengthBytes }, sequence);
  return view;
}

Deno.test("frames: a header is what docs/migration.md says, and read as written", () => {
  const view = encoded(FRAME.commit, 0x1234, 7);
  assertEquals(
    new Uint8Array(view.buffer).toHex(),
    "53564d4d" + "07000000" + "07000000" + "34120000",
  );
  for (const type of TYPES) {
    for (const lengthBytes of [0, 1, MAX_PAYLOAD_BYTES[type]]) {
      const header = encoded(type, lengthBytes, 0xffff_ffff);
      assertEquals(decodeFrameHeader(header, 0xffff_ffff), {
        type,
        lengthBytes,
      });
    }
  }
});

Deno.test("frames: no kind may be longer than its bound", () => {
  for (const type of TYPES) {
    for (const lengthBytes of [MAX_PAYLOAD_BYTES[type] + 1, 0xffff_ffff]) {
      const found = decodeFrameHeader(encoded(type, lengthBytes, 0), 0);
      assert(`${found}`.includes("bytes, must be <="), `${found}`);
    }
  }
});

Deno.test("frames: any bit of magic, kind or number that is flipped is found", () => {
  for (const type of TYPES) {
    for (let bit = 0; bit < FRAME_HEADER.length * 8; bit++) {
      const view = encoded(type, 3, 5);
      const at = bit >> 3;
      view.setUint8(at, view.getUint8(at) ^ (1 << bit % 8));
      const found = decodeFrameHeader(view, 5);
      // A kind may become another that there is.
      if (typeof found === "string") continue;
      assertEquals(at, FRAME_HEADER.type, `bit ${bit}`);
      assert(found.type !== type && TYPES.includes(found.type));
    }
  }
});

Deno.test("frames: random bytes are no header", () => {
  const random = seeded("frames");
  for (let i = 0; i < 10_000; i++) {
    const bytes = new Uint8Array(FRAME_HEADER.sizeBytes)
      .map(() => random() * 256);
    const found = decodeFrameHeader(new DataView(bytes.buffer), 0);
    assertEquals(typeof found, "string", bytes.toHex());
  }
});
