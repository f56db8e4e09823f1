import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodeState,
  type Dump,
  encodePayload,
  ImageFile,
  saveImageFile,
} from "../../src/state/mod.ts";
import {
  BLOCK_BYTES,
  BlockAllocator,
  checkMemoryParts,
  mapImageFile,
  Memory,
  type MemoryPartV1,
  MemorySaver,
  memoryState,
  PAGE_BYTES,
  type PartInFile,
  VmError,
} from "../../src/vmm/mod.ts";
import { resources, Scratch, seeded } from "../support.ts";
import { holds, holdsAsync } from "./property.ts";

const CREATOR = "tests 1";
const MEMORY_BYTES = 8 * BLOCK_BYTES;

/** The parts of an image's memory, read and checked as a restore does. */
function partsOf(image: ImageFile): PartInFile[] {
  return image.sections.map((section) => ({
    state: decodeState(memoryState, section),
    dataOffset: section.dataOffset,
    dataBytes: section.dataBytes,
    read: () => image.readData(section),
  }));
}

async function load(path: string): Promise<Memory> {
  using image = await ImageFile.open(path);
  await image.verifyData();
  const parts = partsOf(image);
  const memory = new Memory(checkMemoryParts(parts));
  mapImageFile(memory, parts, image);
  return memory;
}

function takeAll(blocks: BlockAllocator): void {
  while (blocks.allocate() >= 0);
}

/** Runs of pages, from one page to several blocks, and how they are filled. */
const run = fc.record({
  first: fc.nat(MEMORY_BYTES / PAGE_BYTES - 1),
  pages: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.nat(1200)),
  random: fc.boolean(),
});

for (const compress of [false, true]) {
  const packed = compress ? "packed" : "raw";
  Deno.test(`memory_state: random sparse memory is the same after a dump and a load, ${packed}`, async () => {
    await using scratch = new Scratch();
    const path = scratch.file("memory.img");
    const runs = fc.array(run, { maxLength: 12 });
    await holdsAsync(`memory_state, ${packed}`, 12, runs, async (chosen) => {
      using memory = new Memory(MEMORY_BYTES);
      const blocks = new BlockAllocator(MEMORY_BYTES);
      takeAll(blocks);
      for (const { first, pages, random } of chosen) {
        const from = first * PAGE_BYTES;
        const to = Math.min(MEMORY_BYTES, from + pages * PAGE_BYTES);
        for (let at = from; at < to; at += 16 * PAGE_BYTES) {
          const piece = memory.u8.subarray(
            at,
            Math.min(to, at + 16 * PAGE_BYTES),
          );
          if (random) crypto.getRandomValues(piece.subarray(0, 65536));
          else piece.fill(1 + first % 255);
        }
      }
      const saver = new MemorySaver(memory, blocks, compress);
      await saveImageFile(path, [saver], { creator: CREATOR });
      using loaded = await load(path);
      assertEquals(loaded.sizeBytes, MEMORY_BYTES);
      assert(equal(loaded, memory), "the memories differ");
      // And once more: what was loaded saves as the same image.
      const again = scratch.file("again.img");
      const second = new MemorySaver(loaded, blocks, compress);
      await saveImageFile(again, [second], { creator: CREATOR });
      assertEquals(Deno.readFileSync(again), Deno.readFileSync(path));
    });
  });
}

/** Whether two memories hold the same: page by page, as a guest would see it. */
function equal(a: Memory, b: Memory): boolean {
  for (let i = 0; i < a.u32.length; i++) {
    if (a.u32[i] !== b.u32[i]) return false;
  }
  return true;
}

function dumped(dump: Dump): { value: MemoryPartV1; data: Uint8Array[] }[] {
  assert(dump.answer === "many");
  return [...dump.parts].map(({ value, data = [] }) => ({
    value: value as MemoryPartV1,
    data: data.map((piece) => piece.slice()),
  }));
}

Deno.test("memory_state: pages of zeros and blocks not in use are left out", () => {
  using memory = new Memory(MEMORY_BYTES);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  blocks.take(BLOCK_BYTES);
  blocks.take(2 * BLOCK_BYTES);
  blocks.take(5 * BLOCK_BYTES);
  const at = (page: number) => page * PAGE_BYTES;
  // The last page of one block and the first of the next: one run.
  memory.u8[2 * BLOCK_BYTES - 1] = 1;
  memory.u8[2 * BLOCK_BYTES] = 1;
  memory.u8[2 * BLOCK_BYTES + at(1) + 77] = 1;
  memory.u8[2 * BLOCK_BYTES + at(40)] = 1;
  // Not in use: whatever is there does not travel.
  memory.u8[3 * BLOCK_BYTES] = 1;
  memory.u8[5 * BLOCK_BYTES + at(511)] = 1;
  const parts = dumped(new MemorySaver(memory, blocks).dump());
  assertEquals(parts.map(({ value }) => value.runs), [[
    [2 * BLOCK_BYTES - at(1), 3],
    [2 * BLOCK_BYTES + at(40), 1],
    [5 * BLOCK_BYTES + at(511), 1],
  ]]);
});

Deno.test("memory_state: blocks without a zero page come first, at 2 MiB boundaries", async () => {
  using memory = new Memory(MEMORY_BYTES);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  for (const block of [1, 2, 4, 5]) blocks.take(block * BLOCK_BYTES);
  for (const block of [1, 4, 5]) {
    memory.u8.fill(block, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
  }
  memory.u8[2 * BLOCK_BYTES] = 1;
  const saver = new MemorySaver(memory, blocks);
  const parts = dumped(saver.dump());
  assertEquals(parts.map(({ value }) => value.runs), [
    [[BLOCK_BYTES, 512], [4 * BLOCK_BYTES, 1024]],
    [[2 * BLOCK_BYTES, 1]],
  ]);
  await using scratch = new Scratch();
  const path = scratch.file("memory.img");
  await saveImageFile(path, [saver], { creator: CREATOR });
  using image = await ImageFile.open(path);
  assertEquals(image.sections[0].dataOffset % BLOCK_BYTES, 0);
  using again = new Memory(MEMORY_BYTES);
  mapImageFile(again, partsOf(image), image);
  for (const block of [0, 1, 2, 3, 4, 5, 6]) {
    const gpa = block * BLOCK_BYTES;
    const same = memory.bytes(gpa, BLOCK_BYTES).every((byte, i) =>
      again.u8[gpa + i] === byte
    );
    assert(same, `block ${block}`);
  }
});

Deno.test("memory_state: empty memory is one part without data that says its size", () => {
  using memory = new Memory(MEMORY_BYTES);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  takeAll(blocks);
  for (const compress of [false, true]) {
    const parts = dumped(new MemorySaver(memory, blocks, compress).dump());
    assertEquals(parts, [{
      value: { sizeBytes: MEMORY_BYTES, encoding: "raw", runs: [] },
      data: [],
    }]);
  }
});

Deno.test("memory_state: data that does not get smaller stays as it is", () => {
  using memory = new Memory(MEMORY_BYTES);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  blocks.take(BLOCK_BYTES);
  crypto.getRandomValues(memory.bytes(BLOCK_BYTES, PAGE_BYTES));
  const [part] = dumped(new MemorySaver(memory, blocks, true).dump());
  assertEquals(part.value.encoding, "raw");
  assertEquals(part.data, [memory.bytes(BLOCK_BYTES, PAGE_BYTES).slice()]);
});

/** A part of which only the state matters. */
function part(state: MemoryPartV1, data = new Uint8Array()): PartInFile {
  const dataBytes = data.length ||
    state.runs.reduce((sum, [, pages]) => sum + pages * PAGE_BYTES, 0);
  return { state, dataOffset: 0, dataBytes, read: () => data };
}

Deno.test("memory_state: parts that do not fit memory or each other are refused", () => {
  const good: MemoryPartV1 = {
    sizeBytes: MEMORY_BYTES,
    encoding: "raw",
    runs: [[PAGE_BYTES, 2], [8 * PAGE_BYTES, 1]],
  };
  assertEquals(checkMemoryParts([part(good)]), MEMORY_BYTES);
  const wrong: [what: string, parts: PartInFile[]][] = [
    ["its parts differ in size", [
      part(good),
      part({ ...good, sizeBytes: 2 * MEMORY_BYTES, runs: [] }),
    ]],
    ["out of place", [part({ ...good, runs: [[1, 1]] })]],
    ["out of place", [part({ ...good, runs: [[MEMORY_BYTES, 1]] })]],
    ["out of place", [
      part({ ...good, runs: [[MEMORY_BYTES - PAGE_BYTES, 2]] }),
    ]],
    ["out of place", [part({ ...good, runs: [[0, 2], [PAGE_BYTES, 1]] })]],
    ["out of place", [part(good), part(good)]],
    ["a part has", [part({ ...good, runs: [[0, 2 ** 52]] })]],
    ["out of place", [part({ ...good, runs: [[2 ** 53 - 4096, 1]] })]],
    ["a part has", [part({ ...good, runs: [[0, 16385]] })]],
    ["a part has", [
      part({ ...good, encoding: "zstd", runs: [[0, 2049]] }, new Uint8Array(9)),
    ]],
    ["bytes of data", [part(good, new Uint8Array(5))]],
  ];
  for (const [what, parts] of wrong) {
    const error = assertThrows(() => checkMemoryParts(parts), VmError, what);
    assertEquals(error.code, "VM_MEMORY");
  }
});

Deno.test("memory_state: random parts are refused, or all of them is memory", () => {
  const near = (max: number) => fc.oneof(fc.nat(max), fc.maxSafeNat());
  const state: fc.Arbitrary<MemoryPartV1> = fc.record({
    sizeBytes: fc.constantFrom(MEMORY_BYTES, MEMORY_BYTES / 2, 0),
    encoding: fc.constantFrom("raw", "zstd"),
    runs: fc.array(
      fc.tuple(
        near(2200).map((n) =>
          Math.min(n * PAGE_BYTES, Number.MAX_SAFE_INTEGER)
        ),
        near(100).map((n) => n + 1),
      ),
      { maxLength: 4 },
    ),
  });
  holds(
    "memory_state: parts",
    500,
    fc.array(state, { maxLength: 3 }),
    (states) => {
      const parts = states.map((s) => part(s));
      let sizeBytes: number;
      try {
        sizeBytes = checkMemoryParts(parts);
      } catch (error) {
        assert(error instanceof VmError);
        return;
      }
      let last = 0;
      const runs = states.flatMap(({ runs }) => runs);
      for (const [gpa, pages] of runs.sort((a, b) => a[0] - b[0])) {
        assert(gpa >= last);
        last = gpa + pages * PAGE_BYTES;
        assert(last <= sizeBytes);
      }
    },
  );
});

Deno.test("memory_state: packed data that unpacks to too much, too little or nothing is refused", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("memory.img");
  using source = new Memory(MEMORY_BYTES);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  blocks.take(BLOCK_BYTES);
  source.u8.fill(9, BLOCK_BYTES, BLOCK_BYTES + 4 * PAGE_BYTES);
  const saver = new MemorySaver(source, blocks, true);
  await saveImageFile(path, [saver], { creator: CREATOR });
  using image = await ImageFile.open(path);
  const [good] = partsOf(image);
  assertEquals(good.state.encoding, "zstd");
  const before = resources();
  const wrong: PartInFile[] = [
    { ...good, state: { ...good.state, runs: [[BLOCK_BYTES, 3]] } },
    { ...good, state: { ...good.state, runs: [[BLOCK_BYTES, 5]] } },
    { ...good, state: { ...good.state, runs: [] } },
    { ...good, read: () => new Uint8Array(50) },
    { ...good, read: () => new Uint8Array() },
    { ...good, read: () => good.read().subarray(0, -1) },
  ];
  for (const part of wrong) {
    using memory = new Memory(MEMORY_BYTES);
    checkMemoryParts([part]);
    const error = assertThrows(
      () => mapImageFile(memory, [part], image),
      VmError,
    );
    assertEquals(error.code, "VM_MEMORY");
    assert(memory.isZero(0, MEMORY_BYTES));
  }
  assertEquals(resources().fds, before.fds);
});

Deno.test("memory_state: an image that was replaced after it was checked is refused", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("memory.img");
  using source = new Memory(MEMORY_BYTES);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  blocks.take(0);
  source.u8.fill(1, 0, BLOCK_BYTES);
  const saver = new MemorySaver(source, blocks);
  await saveImageFile(path, [saver], { creator: CREATOR });
  using image = await ImageFile.open(path);
  const parts = partsOf(image);
  await saveImageFile(path, [saver], { creator: CREATOR });
  using memory = new Memory(MEMORY_BYTES);
  const before = resources().fds;
  assertThrows(
    () => mapImageFile(memory, parts, image),
    VmError,
    "was replaced meanwhile",
  );
  assertEquals(resources().fds, before);
});

Deno.test("memory_state: memory in many pieces takes few of a process's mappings", async () => {
  const next = seeded("memory_state: many runs");
  await using scratch = new Scratch();
  const path = scratch.file("runs");
  // Each run that is mapped is a mapping, and so is the gap after it. A process
  // may have 65530; of 9000 runs the 8000 longer ones are mapped.
  const lengths = Array.from({ length: 9000 }, (_, i) => i % 9 === 4 ? 16 : 32);
  const runs: [gpa: number, pages: number, fileOffset: number][] = [];
  let gpa = 0;
  let fileOffset = 0;
  for (const pages of lengths) {
    runs.push([gpa, pages, fileOffset]);
    gpa += (pages + 1) * PAGE_BYTES;
    fileOffset += pages * PAGE_BYTES;
  }
  const sizeBytes = Math.ceil(gpa / BLOCK_BYTES) * BLOCK_BYTES;
  using file = Deno.openSync(path, { create: true, read: true, write: true });
  file.truncateSync(fileOffset);
  for (let i = 0; i < 500; i++) {
    const at = runs[Math.floor(next() * runs.length)][2];
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array([1 + i % 255]));
  }
  const { dev, ino, size } = Deno.statSync(path);
  const parts: PartInFile[] = [];
  for (let i = 0; i < runs.length; i += 60) {
    const own = runs.slice(i, i + 60);
    parts.push(part({
      sizeBytes,
      encoding: "raw",
      runs: own.map(([gpa, pages]): [number, number] => [gpa, pages]),
    }));
    Object.assign(parts.at(-1)!, { dataOffset: own[0][2] });
  }
  checkMemoryParts(parts);
  using memory = new Memory(sizeBytes);
  const before = resources().mappings;
  mapImageFile(memory, parts, {
    path,
    identity: { device: dev, inode: ino, sizeBytes: size },
  });
  assert(resources().mappings - before <= 16_100);
  const expected = new Uint8Array(1);
  for (const [at, , offset] of runs) {
    file.seekSync(offset, Deno.SeekMode.Start);
    file.readSync(expected);
    if (memory.u8[at] !== expected[0]) {
      assertEquals(memory.u8[at], expected[0], `gpa 0x${at.toString(16)}`);
    }
  }
});

Deno.test("memory_state: a part with as many runs as it may have fits its payload", () => {
  const runs = Array.from(
    { length: 2048 },
    (_, i): [number, number] => [2 * i * PAGE_BYTES + 2 ** 37, 1],
  );
  const state: MemoryPartV1 = { sizeBytes: 2 ** 38, encoding: "raw", runs };
  assert(encodePayload(state).length < 1024 * 1024);
  assertEquals(checkMemoryParts([part(state)]), 2 ** 38);
});
