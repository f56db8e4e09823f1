import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ERRNO } from "../../src/kvm/mod.ts";
import { AddressSpace } from "../../src/linux/address_space.ts";
import type { AddressSpaceStateV5 } from "../../src/linux/address_space_state.ts";
import { OutOfMemoryError } from "../../src/linux/area_memory.ts";
import {
  BLOCK_BYTES,
  KERNEL_BLOCK,
  PAGE_BYTES,
  PROT,
  SYSCALL_STUB_VA,
  USER_END_VA,
  VmError,
} from "../../src/vmm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { holds } from "../vmm/property.ts";
import { walk } from "../vmm/page_walk.ts";
import { ProbeGuest, Space } from "./probe_guest.ts";
import { SpaceModel } from "./space_model.ts";

const MEMORY_BYTES = 64 * 1024 * 1024;

/** Where the random mappings are: across 1 GiB, and up to the last address. */
const WINDOWS = [
  { start: 0x4000_0000 - 2 * BLOCK_BYTES, end: 0x4000_0000 + 2 * BLOCK_BYTES },
  { start: USER_END_VA + PAGE_BYTES - 2 * BLOCK_BYTES, end: USER_END_VA },
];
/** Where the heap starts: in the middle of a block. */
const BRK_START = 0x1000_5000;

const range = fc.record({
  window: fc.nat(WINDOWS.length - 1),
  page: fc.oneof(
    fc.nat(2047),
    fc.constantFrom(0, 511, 512, 513, 1023, 1024, 1536),
  ),
  pages: fc.oneof(
    fc.integer({ min: 1, max: 6 }),
    fc.constantFrom(511, 512, 513, 1024),
  ),
});
const prot = fc.constantFrom(0, 1, 2, 3, 3, 3, 4, 5, 7);
const operation = fc.oneof(
  fc.record({
    op: fc.constant("map" as const),
    at: range,
    prot,
    kind: fc.constantFrom("anonymous", "file", "stack" as const),
    lazy: fc.boolean(),
  }),
  fc.record({ op: fc.constant("unmap" as const), at: range }),
  fc.record({ op: fc.constant("protect" as const), at: range, prot }),
  fc.record({ op: fc.constant("zero" as const), at: range }),
  fc.record({ op: fc.constant("move" as const), at: range, to: range }),
  fc.record({
    op: fc.constant("brk" as const),
    bytes: fc.nat(3 * BLOCK_BYTES),
  }),
  fc.record({
    op: fc.constant("write" as const),
    at: range,
    offset: fc.nat(PAGE_BYTES - 1),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** The range within its window. */
function clip(at: { window: number; page: number; pages: number }) {
  const { start, end } = WINDOWS[at.window];
  const pages = (end - start) / PAGE_BYTES;
  const page = at.page % pages;
  const count = Math.min(at.pages, pages - page);
  return { va: start + page * PAGE_BYTES, bytes: count * PAGE_BYTES };
}

/** Does to the space what `o` says, and to the model too. */
function apply(guest: Space, model: SpaceModel, o: Operation): void {
  const { space } = guest;
  if (o.op === "brk") {
    const oldEnd = Math.ceil(brkOf(space) / PAGE_BYTES) * PAGE_BYTES;
    const to = BRK_START + o.bytes;
    assertEquals(space.brk(to), to);
    const newEnd = Math.ceil(to / PAGE_BYTES) * PAGE_BYTES;
    if (newEnd > oldEnd) model.map(oldEnd, newEnd - oldEnd, 3);
    else model.unmap(newEnd, oldEnd - newEnd);
    return;
  }
  const { va, bytes } = clip(o.at);
  switch (o.op) {
    case "map":
      assertEquals(space.map(va, bytes, o.prot, o.kind as "file", o.lazy), va);
      model.map(va, bytes, o.prot);
      break;
    case "unmap":
      assertEquals(space.unmap(va, bytes), 0);
      model.unmap(va, bytes);
      break;
    case "protect": {
      const covered = model.covers(va, bytes);
      const result = space.protect(va, bytes, o.prot);
      assertEquals(result, covered ? 0 : -ERRNO.ENOMEM);
      model.protect(va, bytes, o.prot);
      break;
    }
    case "zero":
      space.zero(va, bytes);
      model.zero(va, bytes);
      break;
    case "move": {
      const area = space.areas.find(va);
      const to = clip(o.to);
      const from = Math.min(bytes, (area?.end ?? 0) - va);
      if (!area || (to.va < va + from && va < to.va + to.bytes)) break;
      assertEquals(space.move(va, from, to.va, to.bytes), to.va);
      model.move(va, from, to.va, to.bytes);
      break;
    }
    case "write": {
      const at = va + o.offset;
      const allowed = ((model.protOf(at) ?? 0) & PROT.write) !== 0;
      assertEquals(guest.user.write(at, new Uint8Array([o.byte])), allowed);
      if (allowed) model.write(at, o.byte);
      break;
    }
  }
}

function brkOf(space: AddressSpace): number {
  return space.brk(0);
}

function stateOf(space: AddressSpace): AddressSpaceStateV5 {
  const dump = space.dump();
  assert(dump.answer === "payload");
  return dump.value as AddressSpaceStateV5;
}

/** Compares every page of the windows and of the heap with the model. */
function compare({ memory, space }: Space, model: SpaceModel): void {
  const state = stateOf(space);
  const program = new Set(
    state.blocks.flatMap(([, gpa, count]) =>
      Array.from({ length: count }, (_, i) => gpa + i * BLOCK_BYTES)
    ),
  );
  const owners = new Map<number, number>();
  const spans = [
    ...WINDOWS,
    { start: BRK_START - PAGE_BYTES, end: BRK_START + 4 * BLOCK_BYTES },
  ];
  for (const { start, end } of spans) {
    for (let va = start; va < end; va += PAGE_BYTES) {
      const expected = model.protOf(va);
      const found = space.areas.find(va);
      const walked = walk(memory.view, KERNEL_BLOCK.pml4, va);
      const at = `va 0x${va.toString(16)}`;
      if (found?.prot !== expected) assertEquals(found?.prot, expected, at);
      if (!expected) {
        if (walked) assertEquals(walked, undefined, at);
        continue;
      }
      // Not populated yet: the first touch does it.
      if (!walked) continue;
      const write = (expected & PROT.write) !== 0;
      const execute = (expected & PROT.exec) !== 0;
      if (walked.write !== write || walked.execute !== execute) {
        assertEquals([walked.write, walked.execute], [write, execute], at);
      }
      assert(
        !owners.has(walked.gpa),
        `${at}: its memory is another page's too`,
      );
      owners.set(walked.gpa, va);
      assert(
        program.has(walked.gpa - walked.gpa % BLOCK_BYTES),
        `${at}: its memory is in no block of the program's`,
      );
      const own = model.bytes.get(va);
      if (!own) {
        assert(memory.isZero(walked.gpa, PAGE_BYTES), `${at}: not zero`);
      }
      for (const [offset, byte] of own ?? []) {
        assertEquals(memory.u8[walked.gpa + offset], byte, at);
      }
    }
  }
  const stub = walk(memory.view, KERNEL_BLOCK.pml4, SYSCALL_STUB_VA);
  assertEquals(stub?.gpa, KERNEL_BLOCK.syscallStub);
}

const sequence = fc.array(operation, { minLength: 1, maxLength: 40 });

Deno.test("address_space: random calls leave what a model of pages has", () => {
  holds("address_space", 60, sequence, (operations) => {
    using guest = new Space(MEMORY_BYTES);
    guest.space.setBrkStart(BRK_START);
    const model = new SpaceModel();
    for (const o of operations) apply(guest, model, o);
    compare(guest, model);
    // Whatever was not populated reads as the model says once it is touched.
    for (const [page, allowed] of model.pages) {
      const byte = new Uint8Array(1);
      const at = `va 0x${page.toString(16)}`;
      assertEquals(guest.user.read(page, byte), allowed !== PROT.none, at);
      if (allowed !== PROT.none) assertEquals(byte[0], model.read(page), at);
    }
    compare(guest, model);
    // A new object from what was saved knows the same.
    const state = stateOf(guest.space);
    const loaded = new AddressSpace(guest.memory, structuredClone(state));
    assertEquals(stateOf(loaded), state);
    // In the end all memory but that of the tables is free again.
    for (const { start, end } of WINDOWS) guest.space.unmap(start, end - start);
    guest.space.brk(BRK_START);
    const left = stateOf(guest.space);
    assertEquals([left.areas, left.blocks], [[], []]);
    for (let gpa = 0; gpa < MEMORY_BYTES; gpa += BLOCK_BYTES) {
      if (gpa === 0 || left.tables.blocks.includes(gpa)) continue;
      assert(guest.memory.isZero(gpa, BLOCK_BYTES));
    }
  });
});

kvmTest(
  "address_space: a real vCPU may do what a model of pages allows",
  () => {
    using guest = new ProbeGuest(MEMORY_BYTES);
    guest.space.setBrkStart(BRK_START);
    const probe = fc.record({
      at: range,
      offset: fc.constantFrom(0, 1, 8, PAGE_BYTES - 2),
      how: fc.constantFrom("read", "read", "write", "write", "execute"),
      byte: fc.integer({ min: 1, max: 255 }),
    });
    // One after the other on the same vCPU, which has its caches by then.
    const steps = fc.array(
      fc.tuple(operation, fc.array(probe, { maxLength: 4 })),
      { minLength: 1, maxLength: 20 },
    );
    const model = new SpaceModel();
    holds("address_space, vCPU", 40, steps, (all) => {
      for (const { start, end } of WINDOWS) {
        guest.space.unmap(start, end - start);
        model.unmap(start, end - start);
      }
      // Where the vCPU has been it goes again: what it keeps must not be stale.
      const visited: number[] = [];
      for (const [o, probes] of all) {
        apply(guest, model, o);
        for (const p of probes) {
          const va = p.byte % 3 === 0 && visited.length > 0
            ? visited[p.byte % visited.length]
            : clip(p.at).va + p.offset;
          visited.push(va);
          const prot = model.protOf(va) ?? 0;
          const at = `${p.how} va 0x${va.toString(16)}, prot ${prot}`;
          if (p.how === "read") {
            const expected = prot === PROT.none ? undefined : model.read(va);
            assertEquals(guest.read(va), expected, at);
          } else if (p.how === "write") {
            const allowed = (prot & PROT.write) !== 0;
            assertEquals(guest.write(va, p.byte), allowed, at);
            if (allowed) model.write(va, p.byte);
          } else {
            assertEquals(guest.execute(va), (prot & PROT.exec) !== 0, at);
          }
        }
      }
      compare(guest, model);
    });
  },
);

/** Maps and unmaps a page in each of ever new blocks of addresses. */
function* everNew(space: AddressSpace, count: number): Generator<number> {
  for (let i = 0; i < count; i++) {
    // Some of them so far apart that more than the last table is new.
    const va = 2 ** 40 + i * BLOCK_BYTES + (i % 64) * 2 ** 30;
    assertEquals(space.map(va, PAGE_BYTES, 3, "anonymous"), va);
    yield va;
    space.unmap(va, PAGE_BYTES);
  }
}

Deno.test("address_space: a program may use ever new addresses, whatever memory it has", () => {
  using guest = new Space(4 * BLOCK_BYTES);
  const kept = 0x4000_0000;
  guest.space.map(kept, PAGE_BYTES, 3, "anonymous");
  assert(guest.user.write(kept, new Uint8Array([77])));
  for (const va of everNew(guest.space, 5000)) {
    const byte = new Uint8Array([1]);
    assert(guest.user.read(va, byte));
    assertEquals(byte[0], 0);
    assert(guest.user.write(va, new Uint8Array([1])));
  }
  const byte = new Uint8Array(1);
  assert(guest.user.read(kept, byte));
  assertEquals(byte[0], 77);
  // What was saved has no list of what is spare: it is found again.
  const thawed = new AddressSpace(guest.memory, stateOf(guest.space));
  for (const va of everNew(thawed, 5000)) {
    assert(thawed.tables.translate(va, true) > 0);
  }
});

Deno.test("address_space: memory that was given back is zero for whoever gets it", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space, user, memory } = guest;
  const secret = new Uint8Array(BLOCK_BYTES).fill(0xaa);
  const va = 0x4000_0000;
  for (let round = 0; round < 6; round++) {
    for (const bytes of [BLOCK_BYTES, PAGE_BYTES, 3 * PAGE_BYTES]) {
      assertEquals(space.map(va, bytes, 3, "anonymous", round % 2 === 1), va);
      const seen = new Uint8Array(bytes);
      assert(user.read(va, seen));
      assert(seen.every((byte) => byte === 0));
      assert(user.write(va, secret.subarray(0, bytes)));
      if (round % 3 === 0) space.zero(va, bytes);
      space.unmap(va, bytes);
    }
  }
  assert(memory.isZero(BLOCK_BYTES, memory.sizeBytes - BLOCK_BYTES));
});

Deno.test("address_space: what was mapped without reserving leaves memory for the rest", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space } = guest;
  const huge = 2 ** 40;
  assertEquals(space.map(2 ** 41, huge, 3, "anonymous", true), 2 ** 41);
  assertEquals(space.map(0x4000_0000, PAGE_BYTES, 3, "anonymous"), 0x4000_0000);
  space.setBrkStart(BRK_START);
  assertEquals(space.brk(BRK_START + 5), BRK_START + 5);
  // Nor after a save and a restore.
  const loaded = new AddressSpace(guest.memory, stateOf(space));
  assertEquals(
    loaded.map(0x5000_0000, PAGE_BYTES, 3, "anonymous"),
    0x5000_0000,
  );
});

Deno.test("address_space: what a mapping replaces does not count against it", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space } = guest;
  const va = 0x4000_0000;
  const most = 6 * BLOCK_BYTES;
  for (let i = 0; i < 3; i++) {
    assertEquals(space.map(va, most, 3, "anonymous"), va);
  }
  // But no more than there is.
  assertEquals(space.map(va + most, most, 3, "anonymous"), -ERRNO.ENOMEM);
  assertEquals(space.areas.find(va + most), undefined);
  assert(space.areas.covers(va, va + most));
});

Deno.test("address_space: a move needs no second copy of whole blocks", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space, user } = guest;
  const [va, to] = [0x4000_0000, 0x5000_0000];
  const old = 5 * BLOCK_BYTES;
  assertEquals(space.map(va, old, 3, "anonymous"), va);
  for (let block = 0; block < 5; block++) {
    assert(user.write(va + block * BLOCK_BYTES + 77, Uint8Array.of(block + 1)));
  }
  assertEquals(space.move(va, old, to, old + BLOCK_BYTES), to);
  const byte = new Uint8Array(1);
  for (let block = 0; block < 6; block++) {
    assert(user.read(to + block * BLOCK_BYTES + 77, byte));
    assertEquals(byte[0], block < 5 ? block + 1 : 0);
    assert(!user.read(va + block * BLOCK_BYTES, byte));
  }
});

Deno.test("address_space: a mapping of the stack's kind populates nothing below it", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space, memory } = guest;
  const va = 0x4010_0000;
  assertEquals(space.map(va, PAGE_BYTES, 3, "stack"), va);
  assertEquals(
    walk(memory.view, KERNEL_BLOCK.pml4, va - PAGE_BYTES),
    undefined,
  );
  assert(!space.tables.isPopulated(va - PAGE_BYTES));
});

Deno.test("address_space: out of memory is an error with a type, and what was there stays", () => {
  using guest = new Space(6 * BLOCK_BYTES);
  const { space, user } = guest;
  const va = (i: number) => 0x4000_0000 + i * BLOCK_BYTES;
  let made = 0;
  let refused: unknown;
  // A page in every block takes a block each.
  for (; made < 20 && refused === undefined; made++) {
    try {
      assertEquals(space.map(va(made), PAGE_BYTES, 3, "anonymous"), va(made));
      assert(user.write(va(made), new Uint8Array([made + 1])));
    } catch (error) {
      refused = error;
      break;
    }
  }
  assert(refused instanceof OutOfMemoryError);
  assertEquals(made, 5);
  const byte = new Uint8Array(1);
  for (let i = 0; i < made; i++) {
    assert(user.read(va(i), byte));
    assertEquals(byte[0], i + 1);
  }
  // What is given back can be had again.
  space.unmap(va(1), PAGE_BYTES);
  assert(user.write(va(made), new Uint8Array([99])));
});

Deno.test("address_space: no more areas than Linux allows", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space } = guest;
  const va = 2 ** 40;
  const pages = 80_000;
  assertEquals(space.map(va, pages * PAGE_BYTES, 0, "anonymous", true), va);
  let done = 0;
  let result = 0;
  for (; done < pages && result === 0; done++) {
    result = space.protect(va + done * 2 * PAGE_BYTES, PAGE_BYTES, 1);
  }
  assertEquals(result, -ERRNO.ENOMEM);
  assert(space.areas.all.length <= 65532);
  assertEquals(space.map(2 ** 45, PAGE_BYTES, 1, "file"), -ERRNO.ENOMEM);
  // What makes fewer of them is possible still.
  assertEquals(space.unmap(va, pages * PAGE_BYTES), 0);
  assertEquals(space.areas.all.length, 0);
});

Deno.test("address_space: places outside of a program's addresses are refused", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  const { space } = guest;
  const places: [number, number][] = [
    [0, PAGE_BYTES],
    [0xf000, PAGE_BYTES],
    [USER_END_VA, PAGE_BYTES],
    [USER_END_VA - PAGE_BYTES, 2 * PAGE_BYTES],
    [2 ** 47, PAGE_BYTES],
    [2 ** 63, PAGE_BYTES],
    [0x10000, 2 ** 60],
  ];
  for (const [va, bytes] of places) {
    assertEquals(space.map(va, bytes, 0, "anonymous", true), -ERRNO.ENOMEM);
    assertEquals(space.fault(va, PROT.read), false);
    assertEquals(space.locate(va), -1);
  }
  assertEquals(space.areas.all, []);
});

Deno.test("address_space: a saved state that does not fit memory is refused", () => {
  using guest = new Space(8 * BLOCK_BYTES);
  guest.space.map(0x4000_0000, 3 * PAGE_BYTES, 3, "anonymous");
  guest.space.map(0x4100_0000, PAGE_BYTES, 1, "file");
  const good = stateOf(guest.space);
  const [area, other] = good.areas;
  const wrong: Partial<AddressSpaceStateV5>[] = [
    { areas: [other, area] },
    { areas: [area, area] },
    { areas: [{ ...area, end: area.start }] },
    { areas: [{ ...area, start: area.start + 1 }] },
    { areas: [{ ...area, end: USER_END_VA + PAGE_BYTES }] },
    { blocks: [...good.blocks, good.blocks[0]] },
    { blocks: [[good.blocks[0][0], 0, 1]] },
    { blocks: [[good.blocks[0][0], PAGE_BYTES, 1]] },
    { blocks: [[good.blocks[0][0], 8 * BLOCK_BYTES, 1]] },
    { blocks: [[good.blocks[0][0], 2 * BLOCK_BYTES, 7]] },
    { blocks: [[good.blocks[0][0], 2 * BLOCK_BYTES, 2 ** 52]] },
    { blocks: [[2 ** 40, 2 * BLOCK_BYTES, 1]] },
    { tables: { ...good.tables, next: 5 } },
    { tables: { ...good.tables, end: 16 * BLOCK_BYTES } },
    { tables: { ...good.tables, next: good.tables.end + PAGE_BYTES } },
    { tables: { ...good.tables, blocks: [0] } },
    { tables: { ...good.tables, blocks: [2 ** 52] } },
  ];
  new AddressSpace(guest.memory, good);
  for (const change of wrong) {
    let error: unknown;
    try {
      new AddressSpace(guest.memory, { ...good, ...change });
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof VmError, JSON.stringify(change));
    assertEquals(error.code, "VM_MEMORY");
  }
});

Deno.test("address_space: however many files areas are of, each is named once", () => {
  using here = new Space(MEMORY_BYTES);
  const { space } = here;
  const FILES = 20_000;
  const fileOf = (n: number) => ({
    path: `/folder/of/files/${n % FILES}`,
    device: 1n,
    inode: BigInt(n % FILES),
  });
  for (let n = 0; n < 2 * FILES; n++) {
    const source = { file: fileOf(n), offset: n * PAGE_BYTES };
    const va = 0x1000_0000 + 2 * n * PAGE_BYTES;
    space.map(va, PAGE_BYTES, PROT.read, "file", true, source);
  }
  const dump = space.dump();
  assert(dump.answer === "payload");
  const { areas, sources } = dump.value as AddressSpaceStateV5;
  assertEquals(sources.length, FILES);
  areas.forEach(({ source }, n) => {
    assertEquals(sources[source!.file], fileOf(n));
  });
});
