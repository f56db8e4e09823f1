import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { IoVector } from "../../src/devices/mod.ts";
import { BLOCK_BYTES, Memory, PAGE_BYTES, VmError } from "../../src/vmm/mod.ts";
import { holds } from "../vmm/property.ts";

const MEMORY_BYTES = 4 * BLOCK_BYTES;

/** What the kernel is told: gpa and length of each piece. */
function told(io: IoVector, memory: Memory): [gpa: number, length: number][] {
  const view = new DataView(io.iovecs.buffer);
  return Array.from({ length: io.count }, (_, i) => [
    Number(view.getBigUint64(i * 16, true)) - memory.hostAddress,
    Number(view.getBigUint64(i * 16 + 8, true)),
  ]);
}

Deno.test("io_vector: random pieces are told to the kernel in order, neighbours joined", () => {
  using memory = new Memory(MEMORY_BYTES);
  const io = new IoVector(memory);
  const piece = fc.record({
    gpa: fc.oneof(fc.nat(MEMORY_BYTES - 1), fc.constant(-1)),
    length: fc.integer({ min: 1, max: 5000 }),
  });
  const pieces = fc.array(piece, { maxLength: 30 });
  const cut = fc.option(fc.nat(60_000));
  holds("io_vector", 300, fc.tuple(pieces, cut), ([chosen, limit]) => {
    io.reset(false);
    const bytes: number[] = [];
    let next = 0;
    for (const { gpa: at, length } of chosen) {
      // -1: right after the one before.
      const gpa = at < 0 ? next : at;
      const fits = Math.min(length, MEMORY_BYTES - gpa);
      if (fits <= 0) continue;
      assert(io.add(gpa, fits));
      next = gpa + fits;
      for (let i = 0; i < fits; i++) bytes.push(gpa + i);
    }
    if (limit !== null) {
      io.limit(limit);
      bytes.length = Math.min(bytes.length, limit);
    }
    assertEquals(io.lengthBytes, bytes.length);
    const found = told(io, memory);
    assertEquals(
      found.flatMap(([gpa, n]) => [gpa, gpa + n - 1]).length,
      2 * io.count,
    );
    let at = 0;
    for (const [gpa, length] of found) {
      assert(length > 0);
      assertEquals([bytes[at], bytes[at + length - 1]], [
        gpa,
        gpa + length - 1,
      ]);
      at += length;
    }
    assertEquals(at, bytes.length);
    for (let i = 1; i < found.length; i++) {
      assert(found[i][0] !== found[i - 1][0] + found[i - 1][1], "not joined");
    }
    // The VMM's own copies see the same bytes.
    const data = crypto.getRandomValues(
      new Uint8Array(Math.min(bytes.length, 60_000)),
    );
    assertEquals(io.fill(data), data.length);
    let seen = 0;
    io.forEach((view) => seen += view.length);
    assertEquals(seen, bytes.length);
  });
});

Deno.test("io_vector: a piece that is not all memory is refused", () => {
  using memory = new Memory(MEMORY_BYTES);
  const io = new IoVector(memory);
  io.reset(true);
  io.add(PAGE_BYTES, 10);
  const wrong: [number, number][] = [
    [MEMORY_BYTES, 1],
    [MEMORY_BYTES - 1, 2],
    [-1, 1],
    [NaN, 1],
    [0, NaN],
    [0, 2 ** 53],
    [2 ** 53, 1],
  ];
  for (const [gpa, length] of wrong) {
    assertThrows(() => io.add(gpa, length), VmError);
  }
  assertEquals(told(io, memory), [[PAGE_BYTES, 10]]);
});

Deno.test("io_vector: there is room for 1024 pieces, and neighbours still join", () => {
  using memory = new Memory(MEMORY_BYTES);
  const io = new IoVector(memory);
  io.reset(false);
  for (let i = 0; i < 1024; i++) assert(io.add(i * 4096, 1));
  assert(!io.add(5_000_000, 1));
  assert(io.add(1023 * 4096 + 1, 1));
  assertEquals([io.count, io.lengthBytes], [1024, 1025]);
  io.reset(false);
  assertEquals([io.count, io.lengthBytes], [0, 0]);
});

Deno.test("io_vector: a piece of 4 GiB and more keeps its length", () => {
  using memory = new Memory(8 * 1024 ** 3);
  const io = new IoVector(memory);
  io.reset(false);
  const gibibyte = 1024 ** 3;
  for (let i = 0; i < 4; i++) io.add(BLOCK_BYTES + i * gibibyte, gibibyte);
  assertEquals(told(io, memory), [[BLOCK_BYTES, 4 * gibibyte]]);
  io.add(BLOCK_BYTES + 4 * gibibyte, 5);
  assertEquals(told(io, memory), [[BLOCK_BYTES, 4 * gibibyte + 5]]);
  io.limit(gibibyte);
  assertEquals(told(io, memory), [[BLOCK_BYTES, gibibyte]]);
});

Deno.test("io_vector: memory that I/O fills is marked dirty, memory that it reads is not", () => {
  using memory = new Memory(MEMORY_BYTES);
  const io = new IoVector(memory);
  memory.trackDirty();
  io.reset(false);
  io.add(0, 3 * PAGE_BYTES);
  assert(memory.dirtyBitmap!.every((byte) => byte === 0));
  io.reset(true);
  io.add(PAGE_BYTES - 1, 2);
  assertEquals(memory.dirtyBitmap![0], 3);
});
