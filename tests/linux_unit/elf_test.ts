import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RootFolder } from "../../src/devices/mod.ts";
import { readElf } from "../../src/linux/elf.ts";
import type { AddressSpace } from "../../src/linux/address_space.ts";
import type { AddressSpaceStateV5 } from "../../src/linux/address_space_state.ts";
import { ProgramError } from "../../src/linux/errors.ts";
import { loadProgram } from "../../src/linux/loader.ts";
import {
  BLOCK_BYTES,
  PAGE_BYTES,
  PROT,
  USER_END_VA,
  VmError,
} from "../../src/vmm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, resources, Scratch, TestVm } from "../support.ts";
import { holds, holdsAsync } from "../vmm/property.ts";
import { Space } from "./probe_guest.ts";

const MEMORY_BYTES = 32 * 1024 * 1024;
const EHDR_BYTES = 64;
const PHDR_BYTES = 56;

/** A real program, small if there is one. */
async function program(): Promise<Uint8Array<ArrayBuffer>> {
  const [musl, glibc] = await guest("hello_musl", "hello");
  return Deno.readFileSync(musl ?? glibc);
}

/** Loads the program at `path` into an address space. */
function loadInto({ space, user }: Space, path: string) {
  using root = new RootFolder();
  return loadProgram(space, user, {
    root,
    path,
    cwd: "/",
    argv: [path],
    environment: [],
    uid: 0,
    gid: 0,
    hwcap: 0,
  });
}

/** All memory is free or somebody's, and areas are the program's and apart. */
function assertAccounted(space: AddressSpace): void {
  const dump = space.dump();
  assert(dump.answer === "payload");
  const { blocks, tables } = dump.value as AddressSpaceStateV5;
  const taken = blocks.flatMap(([, gpa, count]) =>
    Array.from({ length: count }, (_, i) => gpa + i * BLOCK_BYTES)
  ).concat(0, tables.blocks); // the first is the kernel's
  assertEquals(new Set(taken).size, taken.length);
  assertEquals(
    taken.length * BLOCK_BYTES + space.blocks.freeBytes,
    MEMORY_BYTES,
  );
  let before = 0;
  for (const { start, end } of space.areas.all) {
    assert(start >= before && end > start && end <= USER_END_VA);
    before = end;
  }
}

/** Loads the program at `path` into an address space of its own. */
function load(path: string) {
  using space = new Space(MEMORY_BYTES);
  const loaded = loadInto(space, path);
  assertAccounted(space.space);
  assert(space.space.areas.find(loaded.stackPointer));
  return { ...loaded, areas: [...space.space.areas.all] };
}

Deno.test("elf: a real program's segments are its file's, with their protections", async () => {
  for (const path of await guest("hello", "hello_musl")) {
    if (!path) continue;
    const file = Deno.readFileSync(path);
    const elf = readElf(path, file.subarray(0, 2 * PAGE_BYTES), file.length);
    assert(elf.segments.some(({ prot }) => prot & PROT.exec));
    assert(!elf.segments.some(({ prot }) => (prot & 6) === 6));
    const { entry, areas } = load(path);
    const code = areas.find(({ start, end }) => entry >= start && entry < end);
    assertEquals(code?.prot, PROT.read | PROT.exec);
    using space = new Space(MEMORY_BYTES);
    const base = entry - elf.entry;
    loadInto(space, path);
    for (const { va, fileOffset, fileBytes, memoryBytes } of elf.segments) {
      const bytes = new Uint8Array(memoryBytes);
      assert(space.user.read(base + va, bytes));
      const expected = new Uint8Array(memoryBytes);
      expected.set(file.subarray(fileOffset, fileOffset + fileBytes));
      assertEquals(bytes, expected);
    }
  }
});

/** A change of a program's bytes. */
const damage = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("byte" as const),
      // Most in the headers, where they matter.
      at: fc.oneof(
        fc.nat(EHDR_BYTES - 1),
        fc.integer({ min: EHDR_BYTES, max: EHDR_BYTES + 12 * PHDR_BYTES }),
        fc.nat(),
      ),
      value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("word" as const),
      // Eight-byte fields of the program headers.
      at: fc.tuple(fc.nat(11), fc.nat(6)).map(([header, field]) =>
        EHDR_BYTES + header * PHDR_BYTES + 8 * field
      ),
      value: fc.oneof(
        fc.bigInt(0n, (1n << 64n) - 1n),
        fc.constantFrom(
          0n,
          1n,
          4096n,
          0x7fff_ffff_f000n,
          0x8000_0000_0000n,
          (1n << 53n) - 1n,
          1n << 53n,
          (1n << 63n) - 1n,
          1n << 63n,
          (1n << 64n) - 4096n,
          (1n << 64n) - 1n,
        ),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant("cut" as const),
      at: fc.oneof(fc.nat(), fc.nat(2000)),
      value: fc.constant(0),
    }),
  },
);

Deno.test("elf: a damaged program is refused with a type or loaded, and never costs more than its memory", async () => {
  const original = await program();
  await using scratch = new Scratch();
  const path = scratch.file("program");
  const before = resources();
  const changes = fc.array(damage, { minLength: 1, maxLength: 4 });
  let refused = 0;
  let loaded = 0;
  await holdsAsync("elf", 400, changes, (all) => {
    let bytes = original.slice();
    for (const { what, at, value } of all) {
      if (what === "cut") bytes = bytes.slice(0, at % (bytes.length + 1));
      else if (what === "byte") bytes[at % (bytes.length || 1)] = Number(value);
      else if (at + 8 <= bytes.length) {
        new DataView(bytes.buffer).setBigUint64(at, BigInt(value), true);
      }
    }
    Deno.writeFileSync(path, bytes);
    try {
      load(path);
      loaded++;
    } catch (error) {
      refused++;
      assert(
        error instanceof ProgramError || error instanceof VmError,
        `${error instanceof Error ? error.stack : error}`,
      );
      assert(!/NaN|undefined/.test(error.message), error.message);
      assert(error.message.length < 500);
    }
    return Promise.resolve();
  });
  console.log(`${refused} refused, ${loaded} loaded`);
  assert(refused > 0 && loaded > 0);
  assertEquals(resources().fds, before.fds);
});

Deno.test("elf: a program must begin where programs can be", async () => {
  const [path] = await guest("hello");
  const original = Deno.readFileSync(path);
  await using scratch = new Scratch();
  const other = scratch.file("program");
  for (const entry of [USER_END_VA, 2 ** 47, 2 ** 52, 2 ** 53 - 1]) {
    const bytes = original.slice();
    new DataView(bytes.buffer).setBigUint64(24, BigInt(entry), true);
    Deno.writeFileSync(other, bytes);
    const error = assertThrows(() => load(other), ProgramError);
    assertEquals(error.code, "PROGRAM_CORRUPT");
  }
});

Deno.test("elf: a program cut off anywhere in its headers is refused", async () => {
  const original = await program();
  const count = new DataView(original.buffer).getUint16(56, true);
  const end = EHDR_BYTES + count * PHDR_BYTES;
  for (let length = 0; length < end; length++) {
    const head = original.subarray(0, length);
    const error = assertThrows(() => readElf("x", head, length), ProgramError);
    const code = length < 4 ? "PROGRAM_NOT_ELF" : "PROGRAM_CORRUPT";
    assertEquals(error.code, length < EHDR_BYTES ? code : "PROGRAM_CORRUPT");
  }
  // All of the headers, but not of what they name.
  const head = original.subarray(0, end);
  assertThrows(() => readElf("x", head, end), ProgramError, "does not fit");
});

Deno.test("elf: rubbish of any length is refused, whatever it begins with", () => {
  const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1];
  const bytes = fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 600 }));
  holds("elf: rubbish", 500, bytes, ([begins, rest]) => {
    const file = begins ? Uint8Array.from([...magic, ...rest]) : rest;
    assertThrows(() => readElf("x", file, file.length), ProgramError);
  });
});

Deno.test("elf: an interpreter that is not there is named without control characters", async () => {
  const original = await program();
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const text = "/lib/\x1b[2Jld.so\n\0";
  const at = 2000;
  bytes.fill(0, at, at + 40);
  bytes.set(new TextEncoder().encode(text), at);
  view.setUint32(EHDR_BYTES, 3, true);
  view.setBigUint64(EHDR_BYTES + 8, BigInt(at), true);
  view.setBigUint64(EHDR_BYTES + 32, BigInt(text.length), true);
  await using scratch = new Scratch();
  const path = scratch.file("program");
  Deno.writeFileSync(path, bytes);
  const error = assertThrows(() => load(path), ProgramError);
  assertEquals(error.code, "PROGRAM_INTERPRETER");
  assert(error.message.includes("ld.so"), error.message);
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x1f]/.test(error.message), JSON.stringify(error.message));
});

kvmTest(
  "elf: a program whose entry is nowhere ends as natively, by a signal",
  async () => {
    const original = await program();
    await using scratch = new Scratch();
    const path = scratch.file("program");
    const entries = [
      0n,
      0x10n,
      0x7fff_ffff_efffn,
      0x7fff_ffff_f000n,
      0x8000_0000_0000n,
      (1n << 53n) - 1n,
    ];
    for (const entry of entries) {
      const bytes = original.slice();
      const view = new DataView(bytes.buffer);
      view.setBigUint64(24, entry, true);
      Deno.writeFileSync(path, bytes);
      await using vm = await TestVm.create({ program: path });
      const end = await vm.run();
      assert(end.kind === "signaled", JSON.stringify(end));
      assertEquals(end.signal, 11, `entry 0x${entry.toString(16)}`);
    }
  },
);
