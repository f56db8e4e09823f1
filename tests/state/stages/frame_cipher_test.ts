/**
 * libcrypto and WebCrypto encrypt alike.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type FrameCipher,
  webCipher,
} from "../../../src/state/stages/frame_cipher.ts";
import { libcryptoCipher } from "../../../src/state/stages/libcrypto.ts";

const HEADER = new Uint8Array(128).fill(3);
const key = () => Uint8Array.from({ length: 32 }, (_, i) => i);

/** libcrypto's, or none where there is no libcrypto. */
function native(): FrameCipher | undefined {
  return libcryptoCipher(key(), HEADER);
}

const ignore = (() => {
  using cipher = native();
  return cipher === undefined;
})();

Deno.test({
  name: "frame_cipher: libcrypto and WebCrypto give the same bytes",
  ignore,
  async fn() {
    using fast = native()!;
    using general = await webCipher(key(), HEADER);
    for (const length of [0, 1, 15, 16, 17, 4096, 1024 * 1024]) {
      const chunk = Uint8Array.from({ length }, (_, i) => i * 7);
      for (const isFinal of [false, true]) {
        const place = { index: length, isFinal };
        const body = new Uint8Array(await fast.seal(chunk, place));
        assertEquals(body, await general.seal(chunk, place));
        assertEquals(await fast.open(body, place), chunk);
        assertEquals(await general.open(body, place), chunk);
      }
    }
  },
});

Deno.test({
  name: "frame_cipher: neither opens what was changed, moved or is of another",
  ignore,
  async fn() {
    using fast = native()!;
    using general = await webCipher(key(), HEADER);
    const place = { index: 5, isFinal: false };
    const body = new Uint8Array(await fast.seal(new Uint8Array(100), place));
    const changed = (at: number) => body.with(at, body[at] ^ 1);
    const cases = [
      [changed(0), place],
      [changed(99), place],
      [changed(115), place],
      [body, { index: 6, isFinal: false }],
      [body, { index: 5, isFinal: true }],
    ] as const;
    for (const [bytes, where] of cases) {
      assertThrows(() => fast.open(bytes, where));
      await assertRejects(async () => await general.open(bytes, where));
    }
    // A failure is of one frame: the next is opened as if nothing had been.
    assertEquals(await fast.open(body, place), new Uint8Array(100));
  },
});

Deno.test({
  name: "frame_cipher: a closed one does nothing any more",
  ignore,
  fn() {
    const fast = native()!;
    fast[Symbol.dispose]();
    fast[Symbol.dispose]();
    assertThrows(
      () => fast.seal(new Uint8Array(1), { index: 0, isFinal: true }),
      Error,
      "closed",
    );
  },
});
