import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  exportKeyPem,
  generateSigningKeys,
  importSigningKey,
  importVerificationKey,
  keyFingerprint,
  sign,
  StageError,
  verifySignature,
} from "../../../mod.ts";
import { seeded } from "../../support.ts";
import { imageOf, sampleComponents } from "../sample_image.ts";
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
  hasTool,
  LENGTHS,
  sample,
  through,
  tool,
} from "./pipeline.ts";

const { privateKey, publicKey } = await generateSigningKeys();
const OTHER = await generateSigningKeys();

const HAS_OPENSSL = hasTool("openssl", "version");
const SKIPPED = HAS_OPENSSL ? "" : " (no openssl here)";

/** Signed, in frames of `chunkBytes`, in pieces. */
async function signed(bytes: Uint8Array, chunkBytes = 100): Promise<Pieces> {
  return split(await through([bytes], sign({ privateKey, chunkBytes })));
}

function verified(stream: Uint8Array): Promise<Uint8Array> {
  return through([stream], verifySignature({ publicKey }));
}

Deno.test("sign: what was signed comes back, however it is cut", async () => {
  const random = seeded("sign");
  for (const length of LENGTHS) {
    const bytes = sample(length, random);
    const stream = await through(cut(bytes, random), sign({ privateKey }));
    const pieces = cut(stream, random);
    const back = await through(pieces, verifySignature({ publicKey }));
    assertSameBytes(back, bytes, `${length} bytes`);
    const frames = Math.max(1, Math.ceil(length / 2 ** 20));
    assertEquals(stream.length, 128 + 80 * frames + length);
  }
});

Deno.test("sign: the document is enough to verify it", async () => {
  const bytes = sample(250, seeded("sign"));
  const { header, frames } = await signed(bytes);
  assertEquals(header.subarray(0, 8).toHex(), "895356530d0a1a0a");
  const spki = await crypto.subtle.exportKey("spki", publicKey);
  const digest = async (bytes: BufferSource) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  assertEquals(header.slice(64, 96), await digest(spki));
  const chunks: Uint8Array[] = [];
  for (const [index, frame] of frames.entries()) {
    const { body, isFinal } = readFrame(frame);
    const chunk = body.slice(0, -64);
    const place = new Uint8Array(12);
    viewOf(place).setBigUint64(0, BigInt(index), true);
    viewOf(place).setUint32(8, isFinal ? 1 : 0, true);
    const message = concat([
      new TextEncoder().encode("ScratchVM signed frame v1\0"),
      header,
      place,
      await digest(chunk),
    ]);
    const signature = body.slice(-64);
    assert(
      await crypto.subtle.verify("Ed25519", publicKey, signature, message),
    );
    chunks.push(chunk);
  }
  assertEquals(chunks.map(({ length }) => length), [100, 100, 50]);
  assertSameBytes(concat(chunks), bytes);
});

Deno.test("sign: one of several keys may have signed, another may not", async () => {
  const bytes = sample(1000, seeded("sign"));
  const stream = join(await signed(bytes));
  const publicKeys = [OTHER.publicKey, publicKey];
  const stage = verifySignature({ publicKeys });
  assertSameBytes(await through([stream], stage), bytes);
  const error = await failsWith(
    "STAGE_SIGNER",
    through([stream], verifySignature({ publicKey: OTHER.publicKey })),
  );
  const fingerprint = await keyFingerprint(publicKey);
  assert(error.message.includes(fingerprint), error.message);
});

Deno.test("sign: one who claims to be another signer is found out", async () => {
  const options = { privateKey: OTHER.privateKey, publicKey };
  const stream = await through([new Uint8Array(10)], sign(options));
  await failsWith("STAGE_TAMPERED", verified(stream));
});

Deno.test("sign: an image without a signature is told from what is none", async () => {
  const image = await imageOf(sampleComponents());
  const error = await failsWith("STAGE_UNSIGNED", verified(image));
  assertEquals(error.offset, 0);
  await failsWith("STAGE_UNSIGNED", verified(image.subarray(0, 20)));
  for (const length of [1, 7, 100, 1000]) {
    const text = new Uint8Array(length).fill(0x61);
    await failsWith("STAGE_FORMAT", verified(text));
  }
});

Deno.test("sign: a change of any byte is found, and nothing wrong passes", async () => {
  const random = seeded("sign");
  const bytes = sample(130, random);
  const pieces = await signed(bytes, 60);
  await assertDamageFound(
    pieces,
    bytes,
    random,
    () => verifySignature({ publicKey }),
  );
});

Deno.test("sign: a change whose checksums fit is tampering, whichever byte", async () => {
  const random = seeded("sign");
  const bytes = sample(130, random);
  const pieces = await signed(bytes, 60);
  await assertTamperingFound(
    pieces,
    bytes,
    random,
    () => verifySignature({ publicKey }),
  );
});

Deno.test("sign: a change of the header whose checksum fits is found", async () => {
  // One frame, which is shorter than it may be: its length shows nothing.
  const { header, frames } = await signed(sample(50, seeded("sign")), 60);
  for (let at = 8; at < 124; at++) {
    const bad = withHeader(
      header,
      (view) => view.setUint8(at, view.getUint8(at) ^ 0x41),
    );
    await failsWith(
      at < 12
        ? "STAGE_VERSION"
        : at >= 64 && at < 96
        ? "STAGE_SIGNER"
        : at === 16 || at === 17 || (at >= 32 && at < 64)
        ? "STAGE_TAMPERED"
        : "STAGE_DAMAGED",
      verified(join({ header: bad, frames })),
      `byte ${at}`,
    );
  }
});

Deno.test("sign: frames swapped, dropped, repeated or of another stream are tampering", async () => {
  const bytes = sample(400, seeded("sign"));
  const { header, frames } = await signed(bytes);
  const [a, b, c, d] = frames;
  const other = await signed(bytes);
  const cases = {
    swapped: [b, a, c, d],
    "first dropped": [b, c, d],
    "one dropped": [a, c, d],
    repeated: [a, a, b, c, d],
    "of another stream": [a, other.frames[1], c, d],
    "an earlier one made the last": [
      a,
      withFrame(b, (view) => view.setUint32(4, 1, true)),
    ],
  };
  for (const [what, changed] of Object.entries(cases)) {
    const stream = join({ header, frames: changed });
    const stage = verifySignature({ publicKey });
    const { passed, error } = await attempt([stream], stage);
    assertEquals((error as StageError)?.code, "STAGE_TAMPERED", what);
    assertSameBytes(passed, bytes.subarray(0, passed.length), what);
  }
});

Deno.test("sign: a stream that is cut off anywhere is truncated", async () => {
  const stream = join(await signed(sample(250, seeded("sign"))));
  for (let end = 0; end < stream.length; end++) {
    const start = stream.subarray(0, end);
    const error = await failsWith("STAGE_TRUNCATED", verified(start));
    assertEquals([error.offset, error.stage], [end, "verifySignature"]);
  }
});

Deno.test("sign: bytes behind the end are damage", async () => {
  const pieces = await signed(sample(250, seeded("sign")));
  const stream = join(pieces);
  for (const rest of [Uint8Array.of(0), pieces.frames[2], stream]) {
    await failsWith("STAGE_DAMAGED", verified(concat([stream, rest])));
  }
});

Deno.test("sign: keys written as PEM are read again", async () => {
  const bytes = sample(1000, seeded("sign"));
  const secret = await importSigningKey(await exportKeyPem(privateKey));
  const pem = await exportKeyPem(publicKey);
  const known = await importVerificationKey(`a comment\n${pem}\nmore\n`);
  assertEquals(await keyFingerprint(known), await keyFingerprint(publicKey));
  const stream = await through([bytes], sign({ privateKey: secret }));
  const stage = verifySignature({ publicKey: known });
  assertSameBytes(await through([stream], stage), bytes);
});

Deno.test({
  name: `sign: keys that openssl makes are read, and it reads ours${SKIPPED}`,
  ignore: !HAS_OPENSSL,
  async fn() {
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    const pem = await tool("openssl", ["genpkey", "-algorithm", "ed25519"]);
    const pub = await tool("openssl", ["pkey", "-pubout"], pem);
    const bytes = sample(1000, seeded("sign"));
    const theirs = await importSigningKey(decoder.decode(pem));
    const stream = await through([bytes], sign({ privateKey: theirs }));
    const known = await importVerificationKey(decoder.decode(pub));
    const stage = verifySignature({ publicKey: known });
    assertSameBytes(await through([stream], stage), bytes);

    const ours = encoder.encode(await exportKeyPem(privateKey));
    const printed = await tool("openssl", ["pkey", "-pubout"], ours);
    assertEquals(decoder.decode(printed), await exportKeyPem(publicKey));
  },
});

Deno.test("sign: a private key that cannot be exported needs its public key", async () => {
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", privateKey);
  const hidden = await crypto.subtle.importKey(
    "pkcs8",
    pkcs8,
    "Ed25519",
    false,
    ["sign"],
  );
  const bytes = Uint8Array.of(1, 2, 3);
  const error = await failsWith(
    "STAGE_KEY",
    through([bytes], sign({ privateKey: hidden })),
  );
  assert(error.hint?.includes("publicKey"));
  const stage = sign({ privateKey: hidden, publicKey });
  assertEquals(await verified(await through([bytes], stage)), bytes);
  await failsWith("STAGE_KEY", exportKeyPem(hidden));
});

Deno.test("sign: what is no key is refused", async () => {
  const pem = await exportKeyPem(privateKey);
  const publicPem = await exportKeyPem(publicKey);
  for (
    const text of [
      "",
      "no key",
      publicPem,
      pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
      pem.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
      pem.replace("MC4C", "MC4!"),
      pem.replace("MC4C", "MC4D"),
      pem.replace(/\n.+\n/, "\n\n"),
      pem + " ".repeat(20_000),
    ]
  ) {
    await failsWith("STAGE_KEY", importSigningKey(text), text);
  }
  await failsWith("STAGE_KEY", importVerificationKey(pem));
  await failsWith("STAGE_KEY", keyFingerprint(privateKey));
  for (
    const make of [
      () => sign({ privateKey: publicKey }),
      () => sign({ privateKey, publicKey: privateKey }),
      () => verifySignature({ publicKey: privateKey }),
      () => verifySignature({ publicKeys: [] }),
      () => verifySignature({ publicKeys: [publicKey, privateKey] }),
    ]
  ) {
    assertEquals(assertThrows(make, StageError).code, "STAGE_KEY");
  }
  for (const chunkBytes of [0, 2 ** 20 + 1, 1.5]) {
    assertThrows(() => sign({ privateKey, chunkBytes }), RangeError);
  }
});
