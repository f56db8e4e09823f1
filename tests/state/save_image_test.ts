import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  AtomicFile,
  type Component,
  type Dump,
  FileSink,
  ImageError,
  MAX_DATA_BYTES,
  saveImageFile,
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
  thrownBy,
} from "./sample_image.ts";

const OLD = new TextEncoder().encode("the old image");

/** Saves over an old file, which must fail and leave all as it was. */
async function failedSave(
  components: Iterable<Component>,
  options: { signal?: AbortSignal } = {},
): Promise<ImageError> {
  using folder = new Folder();
  const path = folder.path("vm.img");
  Deno.writeFileSync(path, OLD);
  const before = openDescriptors();
  const error = await thrownBy(() =>
    saveImageFile(path, components, { creator: CREATOR, ...options })
  );
  assertEquals(Deno.readFileSync(path), OLD);
  assertEquals(folder.names(), ["vm.img"]);
  assertEquals(openDescriptors(), before);
  return error;
}

Deno.test("save: the new image takes the old one's place, and nothing else is left", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  Deno.writeFileSync(path, OLD);
  const before = openDescriptors();
  await saveImageFile(path, sampleComponents(), { creator: CREATOR });
  assertEquals((await readFile(path)).summary.sectionCount, 6);
  assertEquals(folder.names(), ["vm.img"]);
  assertEquals(openDescriptors(), before);
});

Deno.test("save: an image that replaces nothing takes the next name that is free", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  Deno.writeFileSync(path, OLD);
  Deno.symlinkSync("nowhere", folder.path("vm-2.img"));
  const files = [1, 2].map(() => new AtomicFile(path, { replaces: false }));
  const before = openDescriptors() - files.length;
  for (const [i, file] of files.entries()) {
    file.write(Uint8Array.of(i));
    await file.commit();
    file[Symbol.dispose]();
    assertEquals(file.path, folder.path(`vm-${3 + i}.img`));
    assertEquals(Deno.readFileSync(file.path), Uint8Array.of(i));
    assertEquals(Deno.statSync(file.path).mode! & 0o777, 0o600);
  }
  assertEquals(Deno.readFileSync(path), OLD);
  assertEquals(Deno.readLinkSync(folder.path("vm-2.img")), "nowhere");
  assertEquals(folder.names().length, 4);
  assertEquals(openDescriptors(), before);
});

Deno.test("save: only the owner may read an image", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  await saveImageFile(path, sampleComponents(), { creator: CREATOR });
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
});

Deno.test("save: a relative path without a folder works", async () => {
  using folder = new Folder();
  const home = Deno.cwd();
  Deno.chdir(folder.root);
  try {
    await saveImageFile("vm.img", sampleComponents(), { creator: CREATOR });
  } finally {
    Deno.chdir(home);
  }
  assertEquals(folder.names(), ["vm.img"]);
});

Deno.test("save: a link is replaced, and what it points to stays", async () => {
  using folder = new Folder();
  Deno.mkdirSync(folder.path("deep"));
  Deno.writeFileSync(folder.path("deep/real.img"), OLD);
  Deno.symlinkSync("deep/real.img", folder.path("vm.img"));
  await saveImageFile(folder.path("vm.img"), sampleComponents(), {
    creator: CREATOR,
  });
  assert(Deno.lstatSync(folder.path("vm.img")).isFile);
  await readFile(folder.path("vm.img"));
  assertEquals(Deno.readFileSync(folder.path("deep/real.img")), OLD);
});

Deno.test("save: a component that cannot be saved is named, with its reason", async () => {
  let written = false;
  const parts = {
    *[Symbol.iterator]() {
      written = true;
      yield { value: 1 };
    },
  };
  const error = await failedSave([
    component("memory", "ram", { answer: "many", parts }),
    component("disk", "disk0", {
      answer: "cannot",
      why: "it waits for a reply",
    }),
  ]);
  assertEquals(error.code, "IMAGE_COMPONENT");
  assertEquals(error.message, 'Cannot save "disk0": it waits for a reply');
  // All were asked before anything was written.
  assertEquals(written, false);
});

Deno.test("save: a component that fails or says nothing is named", async () => {
  const boom = new Error("boom");
  const silent = undefined as unknown as Dump;
  const cases: [Component, string][] = [
    [
      component("d", "bad", () => {
        throw boom;
      }),
      "boom",
    ],
    [component("d", "bad", () => Promise.reject(boom)), "boom"],
    [component("d", "bad", silent), "did not say"],
    [component("d", "bad", { answer: "many", parts: [] }), "none of its parts"],
    [payload("d", "bad", { f: () => 1 }), "bad"],
    [payload("index", "bad", 1), "does not fit"],
    [payload("d", "bad", 1, 0), "does not fit"],
    [payload("a kind that is much too long", "bad", 1), "does not fit"],
    [payload("d\x1b", "bad", 1), "does not fit"],
  ];
  for (const [bad, text] of cases) {
    const error = await failedSave([payload("ok", "ok", 1), bad]);
    assert(error instanceof ImageError, String(error));
    assertEquals(error.code, "IMAGE_COMPONENT");
    assertStringIncludes(error.message, 'Cannot save "bad"');
    assertStringIncludes(error.message, text);
  }
});

Deno.test("save: two components of one name are refused", async () => {
  const error = await failedSave([payload("d", "x", 1), payload("d", "x", 2)]);
  assertEquals(error.code, "IMAGE_COMPONENT");
  assertStringIncludes(error.message, "there are two");
});

Deno.test("save: more data than a part may have is refused", async () => {
  const data = [new Uint8Array(MAX_DATA_BYTES), new Uint8Array(1)];
  const error = await failedSave([
    component("m", "m", { answer: "many", parts: [{ value: 1, data }] }),
  ]);
  assertEquals(error.code, "IMAGE_COMPONENT");
  assertStringIncludes(error.message, `must be <= ${MAX_DATA_BYTES}`);
});

Deno.test("save: data is aligned as it asks for, from a page to 2 MiB", async () => {
  for (const dataAlignBytes of [undefined, 4096, 65536, 2 * 1024 ** 2]) {
    const part = { value: 1, data: [pattern(5000, 1)], dataAlignBytes };
    const image = await imageOf([
      component("m", "m", { answer: "many", parts: [part] }),
    ]);
    const { sections, data } = await readStream(image);
    assertEquals(sections[0].dataOffset % (dataAlignBytes ?? 4096), 0);
    assertEquals(data, [pattern(5000, 1)]);
  }
  for (const dataAlignBytes of [0, 8, 2048, 12288, 4 * 1024 ** 2, NaN]) {
    const part = { value: 1, data: [new Uint8Array(1)], dataAlignBytes };
    const error = await failedSave([
      component("m", "m", { answer: "many", parts: [part] }),
    ]);
    assertEquals(error.code, "IMAGE_COMPONENT");
    assertStringIncludes(error.message, "cannot be aligned");
  }
});

Deno.test("save: a part that fails half way leaves the old image", async () => {
  const boom = new Error("boom");
  function* parts() {
    yield { value: 1, data: [new Uint8Array(3_000_000)] };
    throw boom;
  }
  const error = await failedSave([
    component("memory", "ram", { answer: "many", parts: parts() }),
  ]);
  assertEquals(error as Error, boom);
});

Deno.test("save: an abort half way leaves the old image", async () => {
  const controller = new AbortController();
  const mine = new Error("no longer wanted");
  function* parts() {
    for (let i = 0; i < 10; i++) {
      if (i === 5) controller.abort(mine);
      yield { value: i, data: [new Uint8Array(1_000_000)] };
    }
  }
  const error = await failedSave(
    [component("memory", "ram", { answer: "many", parts: parts() })],
    { signal: controller.signal },
  );
  assertEquals(error as Error, mine);
});

Deno.test("save: an abort before the first write leaves the old image", async () => {
  const controller = new AbortController();
  const mine = new Error("no longer wanted");
  // One small component: all of it is gathered, and written at the end.
  const last = component("d", "d", () => {
    queueMicrotask(() => controller.abort(mine));
    return { answer: "payload", value: 1 };
  });
  const error = await failedSave([last], { signal: controller.signal });
  assertEquals(error as Error, mine);
});

Deno.test("save: a timer gets its turn while a large image is written", async () => {
  let turns = 0;
  const piece = new Uint8Array(8 * 1024 ** 2);
  function* parts() {
    for (let i = 0; i < 12; i++) yield { value: i, data: [piece] };
  }
  const interval = setInterval(() => turns++, 1);
  try {
    await writeImage(
      [component("memory", "ram", { answer: "many", parts: parts() })],
      // Takes longer than the timer, and returns no promise.
      { write: (chunk) => void chunk.toSorted() },
      { creator: CREATOR },
    );
  } finally {
    clearInterval(interval);
  }
  assert(turns > 0);
});

Deno.test("save: no space left is an error that says so", async () => {
  using full = Deno.openSync("/dev/full", { write: true });
  const error = await thrownBy(() =>
    writeImage(sampleComponents(), new FileSink(full, '"/dev/full"'), {
      creator: CREATOR,
    })
  );
  assert(error instanceof ImageError);
  assertEquals(error.code, "IMAGE_IO");
  assertStringIncludes(
    error.message,
    'Cannot write "/dev/full": No space left',
  );
  assert(error.hint !== undefined && error.cause instanceof Error);
});

Deno.test("save: short writes are continued, and none is an error", async () => {
  const taken: number[] = [];
  const stingy = {
    writeSync(bytes: Uint8Array): number {
      const count = Math.min(bytes.length, 1000);
      for (let i = 0; i < count; i++) taken.push(bytes[i]);
      return count;
    },
  };
  await writeImage(sampleComponents(), new FileSink(stingy, "it"), {
    creator: CREATOR,
  });
  using folder = new Folder();
  Deno.writeFileSync(folder.path("vm.img"), Uint8Array.from(taken));
  await readFile(folder.path("vm.img"));

  const none = new FileSink({ writeSync: () => 0 }, "it");
  const error = await thrownBy(() =>
    Promise.resolve().then(() => none.write(new Uint8Array(1)))
  );
  assertEquals(error.code, "IMAGE_IO");
});

Deno.test("save: a disk that fills up keeps the old image and no half one", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  Deno.writeFileSync(path, OLD);
  // A limit on the size of files is met by write(2) as a full disk is; with
  // its signal ignored, the error is all there is.
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: [
      "-c",
      'trap "" XFSZ; ulimit -f 1000; exec "$@"',
      "sh",
      ...denoRun("save_process.ts", path, "once"),
    ],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertStringIncludes(text, "IMAGE_IO", new TextDecoder().decode(stderr));
  assertStringIncludes(text, "File too large");
  assertEquals(Deno.readFileSync(path), OLD);
  assertEquals(folder.names(), ["vm.img"]);
});

Deno.test("save: killed at any moment, the old image is there or the new one", async () => {
  using folder = new Folder();
  const path = folder.path("vm.img");
  await saveImageFile(path, sampleComponents(), { creator: CREATOR });
  let kills = 0;
  for (let round = 0; round < 6; round++) {
    const [command, ...args] = denoRun("save_process.ts", path, "forever");
    const process = new Deno.Command(command, {
      args,
      stdout: "piped",
      stderr: "null",
    }).spawn();
    // It says a byte when the first image is about to be written.
    const reader = process.stdout.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 5 + 23 * round));
    process.kill("SIGKILL");
    await reader.cancel();
    if ((await process.status).signal === "SIGKILL") kills++;
    await readFile(path);
  }
  assertEquals(kills, 6);
});

Deno.test("save: what is not a regular file is not replaced", async () => {
  using folder = new Folder();
  for (const path of ["/dev/null", folder.root]) {
    const error = await thrownBy(() =>
      saveImageFile(path, sampleComponents(), { creator: CREATOR })
    );
    assertEquals(error.code, "IMAGE_IO");
    assertStringIncludes(error.message, "not a regular file");
  }
  assert(Deno.statSync("/dev/null").isCharDevice);
  assertEquals(folder.names(), []);
});

Deno.test("save: a folder that is not there is an error with its reason", async () => {
  using folder = new Folder();
  const path = folder.path("absent/vm.img");
  const error = await thrownBy(() =>
    saveImageFile(path, sampleComponents(), { creator: CREATOR })
  );
  assert(error instanceof ImageError);
  assertEquals(error.code, "IMAGE_IO");
  assertStringIncludes(error.message, `Cannot write ${JSON.stringify(path)}`);
});

Deno.test("AtomicFile: without a commit nothing is left", () => {
  using folder = new Folder();
  {
    using file = new AtomicFile(folder.path("vm.img"));
    file.write(OLD);
    assertEquals(folder.names().length, 1);
  }
  assertEquals(folder.names(), []);
});

/** The command line that runs a program of this folder. */
function denoRun(program: string, ...args: string[]): string[] {
  const path = new URL(program, import.meta.url).pathname;
  return [Deno.execPath(), "run", "--allow-all", "--quiet", path, ...args];
}
