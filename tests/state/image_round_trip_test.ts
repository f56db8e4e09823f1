import { assert, assertEquals } from "@std/assert";
import {
  decodePayload,
  ImageFile,
  MAX_DATA_BYTES,
  readImageStream,
  saveImageFile,
  SectionSet,
  streamSink,
  writeImage,
} from "../../src/state/mod.ts";
import {
  component,
  CREATOR,
  Folder,
  imageOf,
  openDescriptors,
  pattern,
  payload,
  readFile,
  readStream,
  sampleComponents,
  streamOf,
} from "./sample_image.ts";

Deno.test("image: what is saved comes back from a file", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  const summary = await saveImageFile(path, sampleComponents(), {
    creator: CREATOR,
  });
  using image = await ImageFile.open(path);
  assertEquals(image.header.creator, CREATOR);
  assertEquals(image.header.architecture, "x86_64");
  assertEquals(image.summary, summary);
  assertEquals(summary.totalBytes, Deno.statSync(path).size);
  assertEquals(image.identity.sizeBytes, summary.totalBytes);

  const set = new SectionSet(image.sections);
  assertEquals(decodePayload(set.take("clock").payload), {
    monotonicNs: 123456789,
  });
  const memory = set.takeParts("memory", "ram");
  assertEquals(memory.map((section) => section.part), [0, 1, 2]);
  assertEquals(image.readData(memory[0]), pattern(4096, 1));
  assertEquals(image.readData(memory[1]).subarray(1000), pattern(3096, 3));
  assertEquals(memory[2].dataBytes, 0);
  const blob = set.take("blob", "blob0");
  assertEquals(blob.version, 7);
  assertEquals(image.readData(blob), pattern(101, 4));
  assertEquals(decodePayload(set.take("register").payload), {
    rax: 0xffff_ffff_ffff_ffffn,
    bytes: pattern(33, 5),
  });
  set.finish();
});

Deno.test("image: data stands at page boundaries of the file", async () => {
  const bytes = await imageOf(sampleComponents());
  const { sections, data } = await readStream(bytes);
  const withData = sections.filter((section) => section.dataBytes > 0);
  assertEquals(withData.length, 3);
  for (const section of withData) {
    assertEquals(section.dataOffset % 4096, 0);
    assertEquals(
      bytes.subarray(section.dataOffset).subarray(0, section.dataBytes),
      data[section.sequence],
    );
  }
});

Deno.test("image: a stream in pieces of any size reads as the file does", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  const bytes = await imageOf(sampleComponents());
  Deno.writeFileSync(path, bytes);
  const fromFile = await readFile(path);
  for (const chunkBytes of [1, 7, 128, 4096, 1_000_000]) {
    assertEquals(await readStream(bytes, chunkBytes), fromFile);
  }
});

Deno.test("image: the same state gives the same bytes", async () => {
  const shuffled = payload("map", "m", { b: 1, a: 2, cc: 3 });
  const sorted = payload("map", "m", { a: 2, cc: 3, b: 1 });
  assertEquals(await imageOf([shuffled]), await imageOf([sorted]));
});

Deno.test("image: undefined properties are left out", async () => {
  const { sections } = await readStream(
    await imageOf([payload("map", "m", { a: undefined, b: null })]),
  );
  assertEquals(decodePayload(sections[0].payload), { b: null });
});

Deno.test("image: no component at all is an image too", async () => {
  const { sections } = await readStream(await imageOf([]));
  assertEquals(sections, []);
});

Deno.test("image: many small and large pieces of data come back", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const random = pattern(400, seed);
  const parts = [];
  const expected: Uint8Array[] = [];
  for (let i = 0; i < 8; i++) {
    const data: Uint8Array[] = [];
    for (let j = 0; j < 25; j++) {
      // Below and above what is gathered, and empty ones.
      const scale = [0, 1, 40, 400, 1500][random[i * 50 + j] % 5];
      data.push(pattern(random[i * 50 + 25 + j] * scale, seed + i * 25 + j));
    }
    const whole = new Uint8Array(await new Blob(data as BlobPart[]).bytes());
    if (whole.length > MAX_DATA_BYTES) continue;
    parts.push({ value: i, data });
    expected.push(whole);
  }
  const image = await imageOf([
    component("memory", "ram", { answer: "many", parts }),
  ]);
  const { data } = await readStream(image, 65_536);
  assertEquals(data, expected);
});

Deno.test("image: a part may use the buffer of the one before the last", async () => {
  function* parts() {
    const buffers = [new Uint8Array(5000), new Uint8Array(5000)];
    for (let i = 1; i <= 5; i++) {
      yield { value: i, data: [buffers[i % 2].fill(i)] };
    }
  }
  const { data } = await readStream(
    await imageOf([
      component("memory", "ram", { answer: "many", parts: parts() }),
    ]),
  );
  assertEquals(data.map((bytes) => bytes[4999]), [1, 2, 3, 4, 5]);
});

Deno.test("image: a section as large as may be comes back", async () => {
  const data = pattern(MAX_DATA_BYTES, 9);
  const { data: found } = await readStream(
    await imageOf([
      component("memory", "ram", {
        answer: "many",
        parts: [{ value: null, data: [data] }],
      }),
    ]),
    100_000,
  );
  assert(found[0].every((byte, i) => byte === data[i]));
});

Deno.test("image: it passes through a TCP connection", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sent = (async () => {
    using connection = await Deno.connect({
      hostname: "127.0.0.1",
      port: listener.addr.port,
    });
    const writer = connection.writable.getWriter();
    return await writeImage(sampleComponents(), streamSink(writer), {
      creator: CREATOR,
    });
  })();
  using connection = await listener.accept();
  const kinds: string[] = [];
  const received = await readImageStream(connection.readable, {
    section: (section) => void kinds.push(section.kind),
  });
  assertEquals(received, await sent);
  assertEquals(kinds.length, received.sectionCount);
});

Deno.test("image: progress is told, and grows to the whole", async () => {
  const steps: number[] = [];
  const summary = await writeImage(sampleComponents(), { write() {} }, {
    creator: CREATOR,
    onProgress: ({ writtenBytes }) => steps.push(writtenBytes),
  });
  assertEquals(steps.length, summary.sectionCount);
  assertEquals(steps, steps.toSorted((a, b) => a - b));
  assert(steps.at(-1)! < summary.totalBytes);
});

Deno.test("image: a callback that throws ends the stream, and its error comes out", async () => {
  let cancelled: unknown;
  const bytes = await imageOf(sampleComponents());
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes.slice()),
    cancel: (reason) => void (cancelled = reason),
  });
  const mine = new Error("enough");
  let thrown: unknown;
  try {
    await readImageStream(stream, {
      section: () => {
        throw mine;
      },
    });
  } catch (error) {
    thrown = error;
  }
  assertEquals(thrown, mine);
  assertEquals(cancelled, mine);
});

Deno.test("image: an abort ends a stream that is silent", async () => {
  const controller = new AbortController();
  const silent = new ReadableStream<Uint8Array>({ pull: () => {} });
  const reading = readImageStream(silent, { section: () => {} }, {
    signal: controller.signal,
  });
  const mine = new Error("no longer wanted");
  controller.abort(mine);
  let thrown: unknown;
  await reading.catch((error) => thrown = error);
  assertEquals(thrown, mine);
});

Deno.test("image: an abort ends the check of data", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  Deno.writeFileSync(path, await imageOf(sampleComponents()));
  using image = await ImageFile.open(path);
  const mine = new Error("no longer wanted");
  const controller = new AbortController();
  let thrown: unknown;
  await image.verifyData({
    signal: controller.signal,
    onProgress: () => controller.abort(mine),
  }).catch((error) => thrown = error);
  assertEquals(thrown, mine);
});

Deno.test("image: reading leaves no descriptor open, whether it works or not", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  const bytes = await imageOf(sampleComponents());
  Deno.writeFileSync(path, bytes);
  const before = openDescriptors();
  (await ImageFile.open(path))[Symbol.dispose]();
  Deno.truncateSync(path, 500);
  await ImageFile.open(path).catch(() => {});
  await ImageFile.open(folder.path("absent")).catch(() => {});
  await readImageStream(streamOf(bytes.slice(0, 500)), { section() {} })
    .catch(() => {});
  assertEquals(openDescriptors(), before);
});
