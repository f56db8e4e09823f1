import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BLOCK_BYTES,
  BlockAllocator,
  FIRST_FREE_TABLES,
  KERNEL_BLOCK,
  Memory,
  PAGE_BYTES,
  PageTables,
  PROT,
  SYSCALL_STUB_VA,
  USER_END_VA,
  VmError,
  writeBootPages,
} from "../../src/vmm/mod.ts";
import { walk } from "./page_walk.ts";
import { holds } from "./property.ts";

/** Page tables in memory of their own, with the boot pages. */
class Fixture implements Disposable {
  readonly memory: Memory;
  readonly tables: PageTables;
  /** Gpas of the tables that were handed out. */
  readonly handedOut: number[] = [];

  constructor(sizeBytes = 64 * 1024 * 1024, mostTables = Infinity) {
    this.memory = new Memory(sizeBytes);
    writeBootPages(this.memory);
    let next = KERNEL_BLOCK.tables + FIRST_FREE_TABLES * PAGE_BYTES;
    this.tables = new PageTables(this.memory, () => {
      if (this.handedOut.length >= mostTables) {
        throw new VmError("VM_MEMORY", "no more tables");
      }
      this.handedOut.push(next);
      return (next += PAGE_BYTES) - PAGE_BYTES;
    });
  }

  walk(va: number) {
    return walk(this.memory.view, KERNEL_BLOCK.pml4, va);
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}

/** Blocks of virtual addresses at both ends, and where tables change. */
const BLOCK_VAS = [
  BLOCK_BYTES,
  2 * BLOCK_BYTES,
  2 ** 30 - BLOCK_BYTES,
  2 ** 30,
  2 ** 39 - BLOCK_BYTES,
  2 ** 39,
  0x5555_5540_0000,
  0x7fff_ffe0_0000,
];

/** What the model knows of a page. */
interface Page {
  readonly gpa: number;
  readonly prot: number;
}

const block = fc.nat(BLOCK_VAS.length - 1);
const page = fc.oneof(fc.nat(510), fc.constantFrom(0, 1, 509, 510));
const prot = fc.constantFrom(0, 1, 2, 3, 4, 5, 7);
const operation = fc.oneof(
  fc.record({ op: fc.constant("mapBlock" as const), block, prot }),
  fc.record({ op: fc.constant("protectBlock" as const), block, prot }),
  fc.record({ op: fc.constant("unmapBlock" as const), block }),
  fc.record({ op: fc.constant("mapPage" as const), block, page, prot }),
  fc.record({ op: fc.constant("protectPage" as const), block, page, prot }),
  fc.record({ op: fc.constant("unmapPage" as const), block, page }),
);

/** Memory behind the block with this index: one block each, after the first. */
const gpaOf = (index: number) => (1 + index) * BLOCK_BYTES;

Deno.test("page_tables: random maps, protects and unmaps walk to what a model says", () => {
  const sequence = fc.array(operation, { minLength: 1, maxLength: 60 });
  holds("page_tables", 60, sequence, (operations) => {
    using fixture = new Fixture();
    const { tables } = fixture;
    const model = new Map<number, Page>();
    for (const o of operations) {
      const blockVa = BLOCK_VAS[o.block];
      const va = blockVa + ("page" in o ? o.page * PAGE_BYTES : 0);
      const gpa = gpaOf(o.block) + va - blockVa;
      const known = model.get(va);
      switch (o.op) {
        case "mapBlock":
          if (!tables.isBlockFresh(blockVa)) break;
          tables.mapBlock(blockVa, gpa, o.prot);
          for (let i = 0; i < BLOCK_BYTES; i += PAGE_BYTES) {
            model.set(va + i, { gpa: gpa + i, prot: o.prot });
          }
          break;
        case "protectBlock":
          if (!tables.isLarge(blockVa)) break;
          tables.protectBlock(blockVa, o.prot);
          for (let i = 0; i < BLOCK_BYTES; i += PAGE_BYTES) {
            model.set(va + i, { gpa: gpa + i, prot: o.prot });
          }
          break;
        case "unmapBlock":
          tables.unmapBlock(blockVa);
          for (let i = 0; i < BLOCK_BYTES; i += PAGE_BYTES) {
            model.delete(va + i);
          }
          break;
        case "mapPage":
          tables.mapPage(va, gpa, o.prot);
          model.set(va, { gpa, prot: o.prot });
          break;
        case "protectPage":
          assertEquals(tables.protectPage(va, o.prot), known !== undefined);
          if (known) model.set(va, { gpa, prot: o.prot });
          break;
        case "unmapPage":
          assertEquals(tables.unmapPage(va), known !== undefined);
          model.delete(va);
          break;
      }
    }
    for (const blockVa of BLOCK_VAS) {
      for (let i = 0; i < BLOCK_BYTES; i += PAGE_BYTES) {
        if (blockVa + i >= USER_END_VA) break;
        compare(fixture, model, blockVa + i);
      }
      if (!BLOCK_VAS.includes(blockVa - BLOCK_BYTES)) {
        assertEquals(tables.translate(blockVa - 1, false), -1);
      }
    }
    // Whatever the program maps, `syscall` finds its stub.
    const stub = fixture.walk(SYSCALL_STUB_VA);
    assertEquals(stub?.gpa, KERNEL_BLOCK.syscallStub);
    assertEquals([stub?.write, stub?.execute], [false, true]);
  });
});

function compare(fixture: Fixture, model: Map<number, Page>, va: number): void {
  const { tables } = fixture;
  const expected = model.get(va);
  const walked = fixture.walk(va + 5);
  const at = `va 0x${va.toString(16)}`;
  assertEquals(tables.isPopulated(va), expected !== undefined, at);
  if (!expected || expected.prot === PROT.none) {
    assertEquals(walked, undefined, at);
    assertEquals(tables.translate(va, false), -1, at);
    return;
  }
  const writable = (expected.prot & PROT.write) !== 0;
  assertEquals(walked?.gpa, expected.gpa + 5, at);
  assertEquals(walked?.write, writable, at);
  assertEquals(walked?.execute, (expected.prot & PROT.exec) !== 0, at);
  assertEquals(walked?.pageBytes === BLOCK_BYTES, tables.isLarge(va), at);
  assertEquals(tables.translate(va + 5, false), expected.gpa + 5, at);
  assertEquals(
    tables.translate(va + 5, true),
    writable ? expected.gpa + 5 : -1,
    at,
  );
  const extent = tables.extent(va + 5, false, BLOCK_BYTES);
  const last = 5 + extent - 1;
  assert(extent >= walked!.pageBytes - (va + 5) % walked!.pageBytes, at);
  assertEquals(
    Math.floor((va + last) / BLOCK_BYTES),
    Math.floor(va / BLOCK_BYTES),
    at,
  );
  assertEquals(tables.translate(va + last, false), expected.gpa + last, at);
}

Deno.test("page_tables: the CPU's accessed and dirty bits survive a split", () => {
  using fixture = new Fixture();
  const { tables, memory } = fixture;
  const va = BLOCK_VAS[0];
  tables.mapBlock(va, gpaOf(0), PROT.read);
  // The second table that was handed out is the page directory.
  const entry = fixture.handedOut.at(-1)! + (va / BLOCK_BYTES & 511) * 8;
  const accessedAndDirty = 0x60n;
  memory.view.setBigUint64(
    entry,
    memory.view.getBigUint64(entry, true) | accessedAndDirty,
    true,
  );
  tables.unmapPage(va + PAGE_BYTES);
  const small = fixture.handedOut.at(-1)!;
  assertEquals(memory.view.getBigUint64(small, true) & 0x60n, accessedAndDirty);
  // Bit 7 of a small page's entry is PAT, not "large".
  assertEquals(memory.view.getBigUint64(small, true) & 0x80n, 0n);
  assertEquals(memory.view.getBigUint64(small + 8, true), 0n);
});

Deno.test("page_tables: a page begins as used, and one that may be written as written", () => {
  using fixture = new Fixture();
  const { tables, memory } = fixture;
  const entryOf = (index: number) => {
    const table = fixture.handedOut.at(-1)!;
    const bits = memory.view.getBigUint64(table + index * 8, true);
    return Number(bits & 0x63n); // present, write, accessed, dirty
  };
  const va = BLOCK_VAS[0];
  const all = PROT.read | PROT.write;
  for (const [index, prot] of [PROT.none, PROT.read, all].entries()) {
    tables.mapPage(va + index * PAGE_BYTES, gpaOf(0), prot);
  }
  assertEquals([0, 1, 2].map(entryOf), [0, 0x21, 0x63]);
  tables.protectPage(va + 2 * PAGE_BYTES, PROT.read);
  assertEquals(entryOf(2), 0x21);
});

Deno.test("page_tables: addresses that no program may use never translate", () => {
  using fixture = new Fixture();
  const odd = [
    -1,
    USER_END_VA,
    SYSCALL_STUB_VA,
    2 ** 47,
    2 ** 48,
    2 ** 52,
    Number.MAX_SAFE_INTEGER,
    NaN,
    Infinity,
    -Infinity,
  ];
  for (const va of odd) {
    assertEquals(fixture.tables.translate(va, false), -1, `${va}`);
    assertEquals(fixture.tables.translate(va, true), -1, `${va}`);
  }
});

Deno.test("page_tables: where no table can be had, nothing that was mapped changes", () => {
  for (let most = 0; most <= 6; most++) {
    using fixture = new Fixture(undefined, most);
    const { tables } = fixture;
    const mapped: number[] = [];
    let failed = 0;
    for (const [index, va] of BLOCK_VAS.slice(0, 4).entries()) {
      try {
        tables.mapBlock(va, gpaOf(index), PROT.read);
        mapped.push(va);
        // Splits it, which takes one more table.
        tables.unmapPage(va + PAGE_BYTES);
      } catch (error) {
        assert(error instanceof VmError);
        failed++;
      }
    }
    assert(failed > 0 || most >= 6, `${most}`);
    for (const va of mapped) {
      const index = BLOCK_VAS.indexOf(va);
      assertEquals(fixture.walk(va)?.gpa, gpaOf(index));
    }
  }
});

Deno.test("page_tables: an entry that points outside of memory is refused", () => {
  using fixture = new Fixture();
  const { tables, memory } = fixture;
  const va = BLOCK_VAS[0];
  tables.mapPage(va, gpaOf(0), PROT.read | PROT.write);
  const table = fixture.handedOut.at(-1)!;
  for (const gpa of [memory.sizeBytes, 2 ** 40, 0x000f_ffff_ffff_f000]) {
    memory.view.setBigUint64(table, BigInt(gpa) | 0x207n, true);
    const error = assertThrows(() => tables.translate(va, true), VmError);
    assertEquals(error.code, "VM_MEMORY");
  }
});

Deno.test("page_tables: a large page with reserved address bits stays in memory", () => {
  using fixture = new Fixture(4 * BLOCK_BYTES);
  const { tables, memory } = fixture;
  const va = BLOCK_VAS[0];
  tables.mapBlock(va, gpaOf(0), PROT.read | PROT.write);
  const entry = fixture.handedOut.at(-1)! + (va / BLOCK_BYTES & 511) * 8;
  // The last page of memory: 2 MiB from there on end far behind it.
  const last = memory.sizeBytes - PAGE_BYTES;
  memory.view.setBigUint64(entry, BigInt(last) | 0x287n, true);
  for (const offset of [0, PAGE_BYTES, BLOCK_BYTES - 1]) {
    const gpa = tables.translate(va + offset, true);
    assert(gpa < memory.sizeBytes, `gpa 0x${gpa.toString(16)} is no memory`);
  }
  tables.unmapPage(va);
  for (let offset = PAGE_BYTES; offset < BLOCK_BYTES; offset += PAGE_BYTES) {
    const gpa = tables.translate(va + offset, true);
    assert(gpa < memory.sizeBytes, `gpa 0x${gpa.toString(16)} is no memory`);
  }
});

Deno.test("page_tables: the VMM's writes to tables are tracked as dirty", () => {
  using fixture = new Fixture();
  const { tables, memory } = fixture;
  tables.mapPage(BLOCK_VAS[0], gpaOf(0), PROT.read);
  const before = memory.u8.slice(0, BLOCK_BYTES);
  memory.trackDirty();
  tables.protectPage(BLOCK_VAS[0], PROT.read | PROT.write);
  tables.mapPage(BLOCK_VAS[3], gpaOf(1), PROT.read);
  tables.mapBlock(BLOCK_VAS[5], gpaOf(2), PROT.read);
  tables.unmapBlock(BLOCK_VAS[0]);
  tables.unmapPage(BLOCK_VAS[5] + PAGE_BYTES);
  const dirty = memory.dirtyBitmap!;
  for (let gpa = 0; gpa < BLOCK_BYTES; gpa += PAGE_BYTES) {
    const now = memory.u8.subarray(gpa, gpa + PAGE_BYTES);
    const changed = now.some((byte, i) => byte !== before[gpa + i]);
    const noted = dirty[gpa / PAGE_BYTES >>> 3] & 1 << (gpa / PAGE_BYTES & 7);
    if (changed) assert(noted, `page 0x${gpa.toString(16)} was not noted`);
  }
});

Deno.test("blocks: random takes, allocations and releases follow a set", () => {
  const total = 24;
  const step = fc.record({
    op: fc.constantFrom("allocate", "take", "release"),
    index: fc.integer({ min: -1, max: total }),
  });
  holds("blocks", 200, fc.array(step, { maxLength: 80 }), (steps) => {
    const blocks = new BlockAllocator(total * BLOCK_BYTES);
    const used = new Set<number>();
    for (const { op, index } of steps) {
      const gpa = index * BLOCK_BYTES;
      if (op === "allocate") {
        let lowest = 0;
        while (used.has(lowest)) lowest++;
        const expected = lowest < total ? lowest * BLOCK_BYTES : -1;
        assertEquals(blocks.allocate(), expected);
        if (expected >= 0) used.add(lowest);
      } else if (op === "take") {
        if (index < 0 || index >= total || used.has(index)) {
          const error = assertThrows(() => blocks.take(gpa), VmError);
          assertEquals(error.code, "VM_MEMORY");
        } else {
          blocks.take(gpa);
          used.add(index);
        }
      } else if (used.delete(index)) {
        blocks.release(gpa);
      }
      assertEquals(blocks.freeBytes, (total - used.size) * BLOCK_BYTES);
    }
    const inOrder = [...used].sort((a, b) => a - b);
    assertEquals([...blocks.used()], inOrder.map((i) => i * BLOCK_BYTES));
  });
});

Deno.test("blocks: an address that is no block's start cannot be taken", () => {
  const blocks = new BlockAllocator(4 * BLOCK_BYTES);
  for (
    const gpa of [1, PAGE_BYTES, -BLOCK_BYTES, 4 * BLOCK_BYTES, NaN, 2 ** 53]
  ) {
    assertThrows(() => blocks.take(gpa), VmError, "no block of memory");
  }
  assertEquals(blocks.freeBytes, 4 * BLOCK_BYTES);
});
