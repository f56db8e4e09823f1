/**
 * Images as streams: the same bytes as in a file, as fast as they are read.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  decrypt,
  encrypt,
  generateSigningKeys,
  type ImageSink,
  readableImage,
  readImageStream,
  saveImageFile,
  StageError,
  verifySignature,
  writeImage,
} from "../../src/state/mod.ts";
import { seeded } from "../support.ts";
import {
  component,
  CREATOR,
  Folder,
  pattern,
  payload,
  readStream,
  sampleComponents,
} from "./sample_image.ts";

async function bytesOf(
  stream: ReadableStream<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(stream as BodyInit).arrayBuffer());
}

Deno.test("readable_image: the bytes are those that a file gets, without a copy", async () => {
  const random = seeded("readable_image");
  using folder = new Folder();
  const path = folder.path("vm.img");
  for (let round = 0; round < 10; round++) {
    const pieces = Array.from(
      { length: Math.floor(random() * 5) },
      (_, i) => pattern(Math.floor(random() ** 4 * 9_000_000), i + 1),
    );
    const components = () => [
      ...sampleComponents(),
      payload("clock", `of round ${round}`, { round }),
      component("memory", "more", {
        answer: "many",
        parts: [{ value: {}, data: pieces }, { value: {}, data: pieces }],
      }),
    ];
    await saveImageFile(path, components(), { creator: CREATOR });
    const streamed = await bytesOf(
      readableImage((sink, signal) =>
        writeImage(components(), sink, { creator: CREATOR, signal })
      ),
    );
    const saved = await Deno.readFile(path);
    assertEquals(streamed.length, saved.length);
    assert(streamed.every((byte, i) => byte === saved[i]), "the bytes differ");
  }
});

/** Writes `total` pieces of 1 MiB in one buffer, which it uses again. */
function pieces(total: number) {
  const buffer = new Uint8Array(1024 * 1024);
  const seen = { written: 0, ended: false };
  const write = async (sink: ImageSink) => {
    try {
      for (let i = 0; i < total; i++) {
        buffer.fill(i);
        await sink.write(buffer);
        seen.written++;
      }
    } finally {
      seen.ended = true;
    }
  };
  return { write, seen };
}

Deno.test("readable_image: nothing is written before the first read, and little ahead of it", async () => {
  const { write, seen } = pieces(100);
  const stream = readableImage(write);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(seen, { written: 0, ended: false });
  const reader = stream.getReader();
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve));
  assert(seen.written <= 1, `${seen.written} pieces for one read`);
  await reader.cancel();
  assert(seen.ended);
});

Deno.test("readable_image: a chunk stays as it is when the writer goes on", async () => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readableImage(pieces(3).write)) chunks.push(chunk);
  const whole = new Uint8Array(
    await new Blob(chunks as BlobPart[]).arrayBuffer(),
  );
  assertEquals(whole.length, 3 << 20);
  for (let i = 0; i < 3; i++) {
    assert(whole.subarray(i << 20, (i + 1) << 20).every((b) => b === i));
  }
});

Deno.test("readable_image: what the writer throws is the stream's error", async () => {
  const stream = readableImage(async (sink) => {
    await sink.write(new Uint8Array(10));
    throw new Error("no more");
  });
  await assertRejects(() => bytesOf(stream), Error, "no more");
});

Deno.test("readable_image: a signal ends the writer while nobody reads", async () => {
  const giveUp = new AbortController();
  const { write, seen } = pieces(100);
  const reader = readableImage(write, giveUp.signal).getReader();
  await reader.read();
  giveUp.abort(new Error("given up"));
  await assertRejects(
    async () => {
      while (!(await reader.read()).done);
    },
    Error,
    "given up",
  );
  assert(seen.ended);
});

Deno.test("readable_image: what a stage or an end found wrong is told as it was", async () => {
  const image = () =>
    readableImage((sink, signal) =>
      writeImage(sampleComponents(), sink, { creator: CREATOR, signal })
    );
  const secret = { passphrase: "right", iterations: 100_000 };
  const wrong = image().pipeThrough(encrypt(secret))
    .pipeThrough(decrypt({ passphrase: "wrong" }));
  const read = (stream: ReadableStream<Uint8Array>) =>
    readImageStream(stream, { section: () => {} });
  const key = await assertRejects(() => read(wrong), StageError);
  assertEquals(key.code, "STAGE_KEY");
  const unsigned = image()
    .pipeThrough(
      verifySignature({ publicKey: (await generateSigningKeys()).publicKey }),
    );
  const signed = await assertRejects(() => read(unsigned), StageError);
  assertEquals(signed.code, "STAGE_UNSIGNED");
  const { summary } = await readStream(
    await bytesOf(
      image().pipeThrough(encrypt(secret)).pipeThrough(decrypt(secret)),
    ),
  );
  assertEquals(summary.sectionCount, 6);
});
