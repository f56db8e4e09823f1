import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decrypt,
  encrypt,
  type EncryptionSecret,
  type EncryptOptions,
  StageError,
} from "../../../mod.ts";
import { seeded } from "../../support.ts";
import {
  assertDamageFound,
  assertTamperingFound,
  join,
  type Pieces,
  readFrame,
  split,
  viewOf,
  withFrame,
  withHeader,
} from "./frames.ts";
import {
  assertSameBytes,
  attempt,
  concat,
  cut,
  failsWith,
  LENGTHS,
  sample,
  through,
} from "./pipeline.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const OTHER_KEY = KEY.map((byte) => byte ^ 1);
const PASSPHRASE = "correct horse";

/** The fewest allowed: tests need not wait. */
const FAST = { iterations: 100_000 } as const;

/** Encrypted with KEY, in frames of `chunkBytes`, in pieces. */
async function encrypted(
  bytes: Uint8Array,
  chunkBytes = 100,
): Promise<Pieces> {
  return split(await through([bytes], encrypt({ key: KEY, chunkBytes })));
}

function decrypted(
  stream: Uint8Array,
  secret: EncryptionSecret = { key: KEY },
): Promise<Uint8Array> {
  return through([stream], decrypt(secret));
}

Deno.test("encrypt: what was encrypted comes back, however it is cut", async () => {
  const random = seeded("encrypt");
  for (const length of LENGTHS) {
    const bytes = sample(length, random);
    const secret = await through(cut(bytes, random), encrypt({ key: KEY }));
    const back = await through(cut(secret, random), decrypt({ key: KEY }));
    assertSameBytes(back, bytes, `${length} bytes`);
    const frames = Math.max(1, Math.ceil(length / 2 ** 20));
    assertEquals(secret.length, 128 + 32 * frames + length);
  }
});

Deno.test("encrypt: a passphrase does as a key does, in any form of Unicode", async () => {
  const bytes = sample(100_000, seeded("encrypt"));
  const composed = { passphrase: "caf\u00e9 über alles" };
  const decomposed = { passphrase: composed.passphrase.normalize("NFD") };
  const secret = await through([bytes], encrypt({ ...composed, ...FAST }));
  assertSameBytes(await decrypted(secret, decomposed), bytes);
  const error = await failsWith(
    "STAGE_KEY",
    decrypted(secret, { passphrase: "cafe uber alles" }),
  );
  assertEquals(error.message, "Cannot decrypt: the passphrase is wrong");
});

Deno.test("encrypt: unless told, a passphrase is hashed 600,000 times", async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const secret = { passphrase: PASSPHRASE };
  const stream = await through([bytes], encrypt(secret));
  assertEquals(viewOf(stream).getUint32(24, true), 600_000);
  assertEquals(await decrypted(stream, secret), bytes);
});

Deno.test("encrypt: a CryptoKey does as its bytes do", async () => {
  const bytes = sample(1000, seeded("encrypt"));
  const secret = join(await encrypted(bytes));
  const { subtle } = crypto;
  const usages: KeyUsage[] = ["encrypt", "decrypt"];
  const aes = await subtle.importKey("raw", KEY, "AES-GCM", true, usages);
  const hkdf = await subtle.importKey("raw", KEY, "HKDF", false, [
    "deriveBits",
  ]);
  for (const key of [aes, hkdf]) {
    assertSameBytes(await decrypted(secret, { key }), bytes);
    const theirs = await through([bytes], encrypt({ key }));
    assertSameBytes(await decrypted(theirs), bytes);
  }
  const hidden = await subtle.importKey("raw", KEY, "AES-GCM", false, usages);
  const short = await subtle.importKey(
    "raw",
    KEY.subarray(0, 16),
    "AES-GCM",
    true,
    usages,
  );
  for (const key of [hidden, short]) {
    await failsWith("STAGE_KEY", through([bytes], encrypt({ key })));
    await failsWith("STAGE_KEY", decrypted(secret, { key }));
  }
});

Deno.test("encrypt: a wrong key or kind of secret is told before any frame", async () => {
  const { header } = await encrypted(sample(1000, seeded("encrypt")));
  const wrong = await failsWith(
    "STAGE_KEY",
    decrypted(header, { key: OTHER_KEY }),
  );
  assertEquals(wrong.message, "Cannot decrypt: the key is wrong");
  await failsWith("STAGE_KEY", decrypted(header, { passphrase: "x" }));
  const stream = await through([], encrypt({ passphrase: "x", ...FAST }));
  await failsWith("STAGE_KEY", decrypted(stream));
});

Deno.test("encrypt: the same bytes are never encrypted the same way twice", async () => {
  const bytes = sample(1000, seeded("encrypt"));
  const one = await encrypted(bytes);
  const two = await encrypted(bytes);
  assert(one.header.toHex() !== two.header.toHex());
  assert(one.frames[0].toHex() !== two.frames[0].toHex());
});

Deno.test("encrypt: the document is enough to read it", async () => {
  const bytes = sample(250, seeded("encrypt"));
  const { subtle } = crypto;
  for (const isPassphrase of [false, true]) {
    const secret: EncryptOptions = isPassphrase
      ? { passphrase: PASSPHRASE, ...FAST, chunkBytes: 100 }
      : { key: KEY, chunkBytes: 100 };
    const { header, frames } = split(await through([bytes], encrypt(secret)));
    assertEquals(header.subarray(0, 8).toHex(), "895356450d0a1a0a");
    const view = viewOf(header);
    const salt = header.slice(32, 64);
    let input = KEY;
    if (isPassphrase) {
      const password = await subtle.importKey(
        "raw",
        new TextEncoder().encode(PASSPHRASE),
        "PBKDF2",
        false,
        ["deriveBits"],
      );
      const iterations = view.getUint32(24, true);
      input = new Uint8Array(
        await subtle.deriveBits(
          { name: "PBKDF2", hash: "SHA-256", salt, iterations },
          password,
          256,
        ),
      );
    }
    const info = new TextEncoder().encode("ScratchVM encrypted stream v1");
    const derived = new Uint8Array(
      await subtle.deriveBits(
        { name: "HKDF", hash: "SHA-256", salt, info },
        await subtle.importKey("raw", input, "HKDF", false, ["deriveBits"]),
        512,
      ),
    );
    assertEquals(header.slice(64, 96), derived.slice(32));
    const key = await subtle.importKey(
      "raw",
      derived.slice(0, 32),
      "AES-GCM",
      false,
      ["decrypt"],
    );
    const chunks: Uint8Array[] = [];
    for (const [index, frame] of frames.entries()) {
      const { body, isFinal } = readFrame(frame);
      assertEquals(isFinal, index === 2);
      const iv = new Uint8Array(12);
      viewOf(iv).setBigUint64(0, BigInt(index), true);
      iv[8] = isFinal ? 1 : 0;
      const plain = await subtle.decrypt(
        { name: "AES-GCM", iv, additionalData: header },
        key,
        body,
      );
      chunks.push(new Uint8Array(plain));
    }
    assertEquals(chunks.map(({ length }) => length), [100, 100, 50]);
    assertSameBytes(concat(chunks), bytes);
  }
});

Deno.test("encrypt: a change of any byte is found, and nothing wrong passes", async () => {
  const random = seeded("encrypt");
  const bytes = sample(130, random);
  const pieces = await encrypted(bytes, 60);
  await assertDamageFound(pieces, bytes, random, () => decrypt({ key: KEY }));
});

Deno.test("encrypt: a change whose checksums fit is tampering, whichever byte", async () => {
  const random = seeded("encrypt");
  const bytes = sample(130, random);
  const pieces = await encrypted(bytes, 60);
  await assertTamperingFound(
    pieces,
    bytes,
    random,
    () => decrypt({ key: KEY }),
  );
});

Deno.test("encrypt: a change of the header whose checksum fits is found", async () => {
  const { header, frames } = await encrypted(sample(130, Math.random), 60);
  for (let at = 8; at < 124; at++) {
    const bad = withHeader(
      header,
      (view) => view.setUint8(at, view.getUint8(at) ^ 0x41),
    );
    await failsWith(
      at < 12
        ? "STAGE_VERSION"
        : at >= 32 && at < 96
        ? "STAGE_KEY"
        : ["STAGE_DAMAGED", "STAGE_TAMPERED"],
      decrypted(join({ header: bad, frames })),
      `byte ${at}`,
    );
  }
  // A smaller chunk size makes frames too long, a larger one too short; only
  // a stream of one frame shows that the header is bound to what it holds.
  const one = await encrypted(sample(50, Math.random), 60);
  const larger = withHeader(one.header, (v) => v.setUint32(16, 61, true));
  await failsWith(
    "STAGE_TAMPERED",
    decrypted(join({ header: larger, frames: one.frames })),
  );
});

Deno.test("encrypt: frames swapped, dropped, repeated or of another stream are tampering", async () => {
  const bytes = sample(400, seeded("encrypt"));
  const { header, frames } = await encrypted(bytes);
  const [a, b, c, d] = frames;
  const other = await encrypted(bytes);
  const cases = {
    swapped: [b, a, c, d],
    "swapped late": [a, c, b, d],
    "first dropped": [b, c, d],
    "one dropped": [a, c, d],
    repeated: [a, a, b, c, d],
    "of another stream": [a, other.frames[1], c, d],
    "the last made an earlier one": [
      a,
      withFrame(d, (view) => view.setUint32(4, 0, true)),
      c,
      d,
    ],
    "an earlier one made the last": [
      a,
      withFrame(b, (view) => view.setUint32(4, 1, true)),
    ],
  };
  for (const [what, changed] of Object.entries(cases)) {
    const stream = join({ header, frames: changed });
    const { passed, error } = await attempt([stream], decrypt({ key: KEY }));
    assertEquals((error as StageError)?.code, "STAGE_TAMPERED", what);
    assertSameBytes(passed, bytes.subarray(0, passed.length), what);
  }
});

Deno.test("encrypt: a stream that is cut off anywhere is truncated", async () => {
  const bytes = sample(250, seeded("encrypt"));
  const stream = join(await encrypted(bytes));
  for (let end = 0; end < stream.length; end++) {
    const start = stream.subarray(0, end);
    const error = await failsWith("STAGE_TRUNCATED", decrypted(start));
    assertEquals([error.offset, error.stage], [end, "decrypt"]);
  }
});

Deno.test("encrypt: bytes behind the end are damage", async () => {
  const pieces = await encrypted(sample(250, seeded("encrypt")));
  const stream = join(pieces);
  for (const rest of [Uint8Array.of(0), pieces.frames[2], stream]) {
    await failsWith("STAGE_DAMAGED", decrypted(concat([stream, rest])));
    const parts = [stream, rest];
    await failsWith("STAGE_DAMAGED", through(parts, decrypt({ key: KEY })));
  }
});

Deno.test("encrypt: what is no such stream, and a later version, are told apart", async () => {
  const { header, frames } = await encrypted(new Uint8Array(10));
  for (const length of [1, 7, 100, 1000]) {
    const text = new Uint8Array(length).fill(0x61);
    await failsWith("STAGE_FORMAT", decrypted(text));
  }
  // Of a later version nothing but the version is looked at.
  const later = withHeader(header, (view) => {
    view.setUint32(8, 2, true);
    for (let at = 12; at < 124; at++) view.setUint8(at, 0xff);
  });
  const error = await failsWith(
    "STAGE_VERSION",
    decrypted(join({ header: later, frames })),
  );
  assert(error.hint !== undefined);
});

Deno.test("encrypt: what a header asks for has bounds", async () => {
  const secret = { passphrase: PASSPHRASE };
  const stream = await through([], encrypt({ ...secret, ...FAST }));
  const { header, frames } = split(stream);
  for (
    const [at, value] of [
      ...[[24, 0], [24, 99_999], [24, 10_000_001], [24, 0xffff_ffff]],
      ...[[16, 0], [16, 2 ** 20 + 1], [16, 0xffff_ffff], [20, 2], [28, 1]],
    ]
  ) {
    const bad = withHeader(header, (view) => view.setUint32(at, value, true));
    const changed = join({ header: bad, frames });
    await failsWith("STAGE_DAMAGED", decrypted(changed, secret));
  }
  const { header: plain } = await encrypted(new Uint8Array(10));
  for (const bodyBytes of [0, 15, 117, 0xffff_ffff]) {
    const frame = withFrame(
      new Uint8Array(16),
      (view) => {
        view.setUint32(0, bodyBytes, true);
        view.setUint32(4, 1, true);
      },
    );
    await failsWith("STAGE_DAMAGED", decrypted(concat([plain, frame])));
  }
});

Deno.test("encrypt: a secret that is none is refused at once", () => {
  for (
    const secret of [
      {},
      { passphrase: "" },
      { key: KEY.subarray(1) },
      { key: "text" },
      { key: KEY, passphrase: "both" },
    ] as EncryptionSecret[]
  ) {
    for (const make of [encrypt, decrypt]) {
      const error = assertThrows(() => make(secret), StageError);
      assertEquals(error.code, "STAGE_KEY");
    }
  }
  const passphrase = PASSPHRASE;
  for (const iterations of [99_999, 10_000_001, 1.5]) {
    assertThrows(() => encrypt({ passphrase, iterations }), RangeError);
  }
  for (const chunkBytes of [0, 2 ** 20 + 1, 1.5]) {
    assertThrows(() => encrypt({ key: KEY, chunkBytes }), RangeError);
  }
});

Deno.test("encrypt: a key that is changed after it was given changes nothing", async () => {
  const bytes = sample(1000, seeded("encrypt"));
  const key = new Uint8Array(KEY);
  const stage = encrypt({ key });
  key.fill(0);
  assertSameBytes(await decrypted(await through([bytes], stage)), bytes);
});
