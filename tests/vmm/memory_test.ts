import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { libc } from "../../src/kvm/mod.ts";
import { BLOCK_BYTES, Memory, PAGE_BYTES, VmError } from "../../src/vmm/mod.ts";
import { Scratch } from "../support.ts";
import { holds } from "./property.ts";

const MEMORY_BYTES = 4 * BLOCK_BYTES;

Deno.test("memory: a size that is no multiple of 2 MiB, or out of bounds, is refused", () => {
  const sizes = [
    0,
    -1,
    1,
    BLOCK_BYTES,
    2 * BLOCK_BYTES + PAGE_BYTES,
    256 * 1024 ** 3 + BLOCK_BYTES,
    2 ** 60,
    NaN,
    Infinity,
  ];
  for (const size of sizes) {
    const error = assertThrows(() => new Memory(size), VmError);
    assertEquals(error.code, "VM_CONFIG");
  }
});

Deno.test("memory: the largest size costs nothing until it is touched", () => {
  using memory = new Memory(256 * 1024 ** 3);
  assertEquals(memory.u8.length, 256 * 1024 ** 3);
  memory.write(memory.sizeBytes - 3, new Uint8Array([1, 2, 3]));
  assertEquals(memory.u8[memory.sizeBytes - 1], 3);
});

Deno.test("memory: every use outside of memory is refused, and changes nothing", () => {
  using memory = new Memory(MEMORY_BYTES);
  const range = fc.record({
    gpa: fc.oneof(
      fc.integer({ min: -BLOCK_BYTES, max: 2 * MEMORY_BYTES }),
      fc.constantFrom(
        MEMORY_BYTES,
        MEMORY_BYTES - 1,
        -1,
        NaN,
        Infinity,
        2 ** 53,
      ),
    ),
    lengthBytes: fc.oneof(
      fc.integer({ min: -1, max: 2 * MEMORY_BYTES }),
      fc.constantFrom(0, 1, MEMORY_BYTES, NaN, Infinity, 2 ** 53),
    ),
  });
  holds("memory", 500, range, ({ gpa, lengthBytes }) => {
    const inside = gpa >= 0 && lengthBytes >= 0 &&
      gpa + lengthBytes <= MEMORY_BYTES;
    if (inside) {
      memory.check(gpa, lengthBytes);
      assertEquals(memory.bytes(gpa, lengthBytes).length, lengthBytes);
      return;
    }
    for (
      const use of [
        () => memory.check(gpa, lengthBytes),
        () => memory.bytes(gpa, lengthBytes),
        () => memory.discard(gpa, lengthBytes),
        () => memory.dropTranslations(gpa, lengthBytes),
        () => memory.isZero(gpa, lengthBytes),
        () => memory.mapFile(0, { gpa, lengthBytes, fileOffset: 0 }),
        () => memory.readFile(0, { gpa, lengthBytes, fileOffset: 0 }),
      ]
    ) {
      const error = assertThrows(use, VmError, `gpa 0x${gpa.toString(16)}`);
      assertEquals(error.code, "VM_MEMORY");
    }
  });
  assertThrows(
    () => memory.write(MEMORY_BYTES - 1, new Uint8Array(2)),
    VmError,
  );
  assert(memory.isZero(0, MEMORY_BYTES));
});

Deno.test("memory: no view reaches memory that was given back", () => {
  const memory = new Memory(MEMORY_BYTES);
  memory.write(0, new Uint8Array([1, 2, 3]));
  const { u8, u32, view } = memory;
  const part = memory.bytes(PAGE_BYTES, PAGE_BYTES);
  memory[Symbol.dispose]();
  assertEquals([u8.length, u32.length, part.length], [0, 0, 0]);
  assertEquals([u8[0], u32[0], part[0]], [undefined, undefined, undefined]);
  assertThrows(() => view.getUint8(0), TypeError);
  // What works with addresses of the host is refused, not done.
  for (
    const use of [
      () => memory.write(0, new Uint8Array(1)),
      () => memory.bytes(0, 1),
      () => memory.discard(0, PAGE_BYTES),
      () => memory.dropTranslations(0, PAGE_BYTES),
      () => memory.isZero(0, PAGE_BYTES),
      () =>
        memory.mapFile(0, { gpa: 0, lengthBytes: PAGE_BYTES, fileOffset: 0 }),
      () =>
        memory.readFile(0, { gpa: 0, lengthBytes: PAGE_BYTES, fileOffset: 0 }),
    ]
  ) {
    assertThrows(use, VmError, "the memory was given back");
  }
  // Twice is once.
  memory[Symbol.dispose]();
});

Deno.test("memory: its mapping goes with it", () => {
  const memory = new Memory(MEMORY_BYTES);
  const start = memory.hostAddress.toString(16);
  assert(
    mappings().some((line) => line.includes(start) || covers(line, memory)),
  );
  const { hostAddress } = memory;
  memory[Symbol.dispose]();
  assert(!mappings().some((line) => covers(line, { hostAddress })));
});

function mappings(): string[] {
  return Deno.readTextFileSync("/proc/self/maps").trim().split("\n");
}

function covers(line: string, at: { hostAddress: number }): boolean {
  const [start, end] = line.split(" ")[0].split("-").map((n) =>
    parseInt(n, 16)
  );
  return start <= at.hostAddress && at.hostAddress < end;
}

Deno.test("memory: pages that were discarded read as zero, the others stay", () => {
  const pages = MEMORY_BYTES / PAGE_BYTES;
  const range = fc.record({
    first: fc.nat(pages - 1),
    count: fc.oneof(fc.nat(8), fc.nat(pages)),
  });
  holds("memory: discard", 40, fc.array(range, { maxLength: 6 }), (ranges) => {
    using memory = new Memory(MEMORY_BYTES);
    const model = new Uint8Array(pages);
    for (let page = 0; page < pages; page++) {
      model[page] = 1 + page % 255;
      memory.u8[page * PAGE_BYTES + page] = model[page];
    }
    for (const { first, count } of ranges) {
      const end = Math.min(pages, first + count);
      memory.discard(first * PAGE_BYTES, (end - first) * PAGE_BYTES);
      model.fill(0, first, end);
    }
    for (let page = 0; page < pages; page++) {
      const at = page * PAGE_BYTES;
      assertEquals(memory.u8[at + page], model[page], `page ${page}`);
      assertEquals(memory.isZero(at, PAGE_BYTES), model[page] === 0);
    }
  });
});

Deno.test("memory: one byte anywhere makes a range not zero", () => {
  using memory = new Memory(MEMORY_BYTES);
  const place = fc.record({
    page: fc.nat(7),
    pages: fc.integer({ min: 1, max: 4 }),
    offset: fc.nat(4 * PAGE_BYTES - 1),
  });
  holds("memory: isZero", 300, place, ({ page, pages, offset }) => {
    const gpa = page * PAGE_BYTES;
    memory.u8[gpa + offset] = 1;
    const expected = offset >= pages * PAGE_BYTES;
    assertEquals(memory.isZero(gpa, pages * PAGE_BYTES), expected);
    memory.u8[gpa + offset] = 0;
    assert(memory.isZero(gpa, pages * PAGE_BYTES));
  });
});

Deno.test("memory: pages of a file are discarded for good, and never written back", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("pages");
  const content = new Uint8Array(2 * BLOCK_BYTES).fill(0x5a);
  Deno.writeFileSync(path, content);
  using memory = new Memory(MEMORY_BYTES);
  using file = new HostFd(path);
  memory.mapFile(file.fd, {
    gpa: BLOCK_BYTES,
    lengthBytes: 2 * BLOCK_BYTES,
    fileOffset: 0,
  });
  assertEquals(memory.bytes(BLOCK_BYTES, 2 * BLOCK_BYTES), content);
  memory.u8[BLOCK_BYTES] = 1;
  // A part of a block, then a whole one.
  memory.discard(BLOCK_BYTES, 3 * PAGE_BYTES);
  memory.discard(2 * BLOCK_BYTES, BLOCK_BYTES);
  memory.dropTranslations(BLOCK_BYTES, BLOCK_BYTES);
  assert(memory.isZero(BLOCK_BYTES, 3 * PAGE_BYTES));
  assert(memory.isZero(2 * BLOCK_BYTES, BLOCK_BYTES));
  assertEquals(memory.u8[BLOCK_BYTES + 3 * PAGE_BYTES], 0x5a);
  // Now the block is like any other: discarded page by page, it stays zero.
  memory.u8[2 * BLOCK_BYTES] = 7;
  memory.discard(2 * BLOCK_BYTES, PAGE_BYTES);
  assertEquals(memory.u8[2 * BLOCK_BYTES], 0);
  assertEquals(Deno.readFileSync(path), content);
});

/** A descriptor of a file, by its number. */
class HostFd implements Disposable {
  readonly fd: number;

  constructor(path: string) {
    this.fd = libc.open(new TextEncoder().encode(`${path}\0`), 0);
    assert(this.fd >= 0);
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}

Deno.test("memory: a file that ends too early is an error that says how much was read", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("short");
  Deno.writeFileSync(path, new Uint8Array(100));
  using memory = new Memory(MEMORY_BYTES);
  using file = new HostFd(path);
  const run = { gpa: BLOCK_BYTES, lengthBytes: PAGE_BYTES, fileOffset: 0 };
  const error = assertThrows(() => memory.readFile(file.fd, run), VmError);
  assertEquals(
    error.message,
    "Cannot read 4096 bytes of memory from the image at offset 0: got 100",
  );
});

Deno.test("memory: the dirty bitmap holds exactly the pages that were written", () => {
  const write = fc.record({
    gpa: fc.nat(MEMORY_BYTES - 1),
    lengthBytes: fc.oneof(fc.nat(3 * PAGE_BYTES), fc.constantFrom(0, 1)),
  });
  holds("memory: dirty", 100, fc.array(write, { maxLength: 8 }), (writes) => {
    using memory = new Memory(MEMORY_BYTES);
    assertEquals(memory.dirtyBitmap, undefined);
    memory.trackDirty();
    const model = new Uint8Array(MEMORY_BYTES / PAGE_BYTES / 8);
    for (const { gpa, lengthBytes } of writes) {
      const length = Math.min(lengthBytes, MEMORY_BYTES - gpa);
      memory.write(gpa, new Uint8Array(length));
      for (let at = gpa; at < gpa + length; at++) {
        model[at / PAGE_BYTES >>> 3] |= 1 << (at / PAGE_BYTES & 7);
      }
    }
    assertEquals(memory.dirtyBitmap, model);
    memory.trackDirty();
    assert(memory.dirtyBitmap!.every((byte) => byte === 0));
  });
});
