/**
 * What holds of every stage.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  count,
  decrypt,
  encrypt,
  generateSigningKeys,
  gunzip,
  gzip,
  hash,
  progress,
  rateLimit,
  sign,
  type Stage,
  tee,
  verifySignature,
  zstdCompress,
  zstdDecompress,
} from "../../../mod.ts";
import {
  readImageStream,
  streamSink,
  writeImage,
} from "../../../src/state/mod.ts";
import { seeded } from "../../support.ts";
import { CREATOR, sampleComponents } from "../sample_image.ts";
import {
  assertSameBytes,
  collect,
  cut,
  reusing,
  sample,
  through,
  turns,
} from "./pipeline.ts";

const key = new Uint8Array(32).fill(7);
const { privateKey, publicKey } = await generateSigningKeys();
const bytesPerSecond = 1e12;

/** Stages that hand on what comes. */
const PASSING: Readonly<Record<string, () => Stage>> = {
  count,
  hash,
  progress: () => progress(() => {}),
  rateLimit: () => rateLimit({ bytesPerSecond }),
  tee: () => tee(new WritableStream()),
};

/** Stages that make something, each with the one that undoes it. */
const PAIRS: Readonly<Record<string, readonly [() => Stage, () => Stage]>> = {
  zstd: [zstdCompress, zstdDecompress],
  gzip: [gzip, gunzip],
  encrypt: [() => encrypt({ key }), () => decrypt({ key })],
  sign: [() => sign({ privateKey }), () => verifySignature({ publicKey })],
};

/** Every stage, and what can be given to it. */
async function all(
  bytes: Uint8Array,
): Promise<{ name: string; make: () => Stage; input: Uint8Array }[]> {
  const stages = Object.entries(PASSING)
    .map(([name, make]) => ({ name, make, input: bytes }));
  for (const [name, [make, undo]] of Object.entries(PAIRS)) {
    stages.push({ name, make, input: bytes });
    const input = await through([bytes], make());
    stages.push({ name: `undoing ${name}`, make: undo, input });
  }
  return stages;
}

/** Chunks of a source, and how many of their bytes were asked for. */
function counted(bytes: Uint8Array, chunkBytes: number) {
  const state = { askedBytes: 0, cancelled: Promise.withResolvers<unknown>() };
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const at = state.askedBytes % bytes.length;
      const chunk = bytes.slice(at, at + chunkBytes);
      state.askedBytes += chunk.length;
      controller.enqueue(chunk);
      if (state.askedBytes >= bytes.length) controller.close();
    },
    cancel: (reason) => state.cancelled.resolve(reason),
  }, { highWaterMark: 0 });
  return { state, stream };
}

Deno.test("stages: those that hand on leave memory to its owner until the sink is done with it", async () => {
  const random = seeded("stages");
  const bytes = sample(3_000_000, random);
  const stages = Object.values(PASSING).map((make) => make());
  assertSameBytes(await through(cut(bytes, random), ...stages), bytes);
});

Deno.test("stages: all of them together give what was put in", async () => {
  const random = seeded("stages");
  const bytes = sample(3_000_000, random);
  const pairs = Object.values(PAIRS);
  const stages = [
    ...pairs.map(([make]) => make()),
    ...pairs.toReversed().map(([, undo]) => undo()),
  ];
  assertSameBytes(await through(cut(bytes, random), ...stages), bytes);
});

Deno.test("stages: an image is written into a pipeline, and read at its end", async () => {
  const stages = [
    ...Object.values(PASSING).map((make) => make()),
    ...Object.values(PAIRS).flat().map((make) => make()),
  ];
  const into = new TransformStream<Uint8Array, Uint8Array>();
  let end = into.readable;
  for (const stage of stages) end = end.pipeThrough(stage);
  const ids: string[] = [];
  const read = readImageStream(end, {
    section: (section) => void ids.push(section.id),
  });
  const writer = into.writable.getWriter();
  const written = await writeImage(sampleComponents(), streamSink(writer), {
    creator: CREATOR,
  });
  await writer.close();
  assertEquals((await read).totalBytes, written.totalBytes);
  assertEquals(ids, ["clock", "ram", "ram", "ram", "blob0", "vcpu0"]);
});

Deno.test("stages: when nobody reads, little is asked for, and cancelling ends it", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const long = new Uint8Array(24 * 2 ** 20);
  for (let at = 0; at < long.length; at += bytes.length) long.set(bytes, at);
  // Different everywhere, so that it stays long when it is compressed.
  for (let i = 0; i < long.length; i += 5) long[i] ^= i * 2654435761 >>> 16;
  for (const { name, make, input } of await all(long)) {
    const { state, stream } = counted(input, 65_536);
    const out = stream.pipeThrough(make());
    for (let before = -1; before !== state.askedBytes;) {
      before = state.askedBytes;
      await turns(50);
    }
    assert(state.askedBytes < 4 * 2 ** 20, `${name}: ${state.askedBytes}`);
    const reason = new Error("enough");
    await out.cancel(reason);
    assertEquals(await state.cancelled.promise, reason, name);
  }
});

Deno.test("stages: a source that fails midway fails the reader with its error", async () => {
  const random = seeded("stages");
  for (const { name, make, input } of await all(sample(400_000, random))) {
    const broken = new Error("the source broke");
    let given = false;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (given) return controller.error(broken);
        given = true;
        controller.enqueue(input.slice(0, input.length / 2));
      },
    });
    const error = await collect(source.pipeThrough(make()))
      .catch((error) => error);
    assertEquals(error, broken, name);
  }
});

Deno.test("stages: a sink that fails midway cancels the source with its error", async () => {
  const random = seeded("stages");
  for (const { name, make, input } of await all(sample(3_000_000, random))) {
    const { state, stream } = counted(input, 10_000);
    const broken = new Error("the sink broke");
    const sink = new WritableStream<Uint8Array>({
      write() {
        throw broken;
      },
    });
    const error = await stream.pipeThrough(make()).pipeTo(sink)
      .catch((error) => error);
    assertEquals(error, broken, name);
    // A source that was short enough was used up by then.
    if (state.askedBytes < input.length) {
      assertEquals(await state.cancelled.promise, broken, name);
    }
  }
});

Deno.test("stages: an abort wakes a write that waits for the reader", async () => {
  const random = seeded("stages");
  for (const { name, make, input } of await all(sample(3_000_000, random))) {
    const { readable, writable } = make();
    const writer = writable.getWriter();
    const written = writer.write(input).catch((error) => error);
    await turns(20);
    const reason = new Error("aborted");
    await writer.abort(reason);
    assertEquals(await written, reason, name);
    const error = await readable.getReader().read().catch((error) => error);
    assertEquals(error, reason, name);
  }
});

Deno.test("stages: cancelling wakes a write that waits for the reader", async () => {
  const random = seeded("stages");
  for (const { name, make, input } of await all(sample(3_000_000, random))) {
    const { readable, writable } = make();
    const writer = writable.getWriter();
    const closed = writer.closed.catch((error) => error);
    const written = writer.write(input).catch((error) => error);
    await turns(20);
    const reason = new Error("cancelled");
    await readable.cancel(reason);
    assertEquals(await written, reason, name);
    assertEquals(await closed, reason, name);
  }
});

Deno.test("stages: one that is made and never used leaves nothing open", async () => {
  for (const { make } of await all(new Uint8Array(10))) {
    const { readable, writable } = make();
    await writable.abort("not needed");
    await assertRejects(() => readable.getReader().read());
  }
});

Deno.test("stages: what is no Uint8Array is refused", async () => {
  for (const { name, make } of await all(new Uint8Array(10))) {
    const text = new Response("text").body!.pipeThrough(
      new TextDecoderStream(),
    );
    const error = await collect(
      (text as unknown as ReadableStream<Uint8Array>).pipeThrough(make()),
    ).catch((error) => error);
    assert(error instanceof TypeError, `${name}: ${error}`);
  }
});

Deno.test("stages: empty chunks change nothing", async () => {
  const empty = new Uint8Array();
  for (const [name, [make, undo]] of Object.entries(PAIRS)) {
    const bytes = Uint8Array.of(1, 2, 3);
    const made = await collect(
      reusing([empty, bytes.subarray(0, 1), empty, bytes.subarray(1), empty])
        .pipeThrough(make()),
    );
    const half = made.length >> 1;
    const back = await through(
      [empty, made.subarray(0, half), empty, made.subarray(half), empty],
      undo(),
    );
    assertEquals(back, bytes, name);
  }
});
