/**
 * docs/image-format.md against images of whole VMs: its chapter on what the
 * sections hold is enough to find each byte of a program's memory.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type * as v from "valibot";
import { clockState, filesState, pendingState } from "../../src/devices/mod.ts";
import { addressSpaceState } from "../../src/linux/address_space_state.ts";
import { devicesState } from "../../src/linux/devices_state.ts";
import { Hardware } from "../../src/linux/hardware.ts";
import { machineState } from "../../src/linux/machine_state.ts";
import { processState } from "../../src/linux/process.ts";
import { type Memory, memoryState, vcpuState } from "../../src/vmm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import {
  type Bytes,
  type Found,
  memoryByTheBook,
  programBytesByTheBook,
  readByTheBook,
} from "../state/book_reader.ts";
import { guest, Scratch, TestVm } from "../support.ts";
import { readText } from "./repository.ts";
import { saveImage } from "./saved_image.ts";

const CHAPTER = readText("docs/image-format.md")
  .split("\n## What the sections hold\n")[1].split("\n## ")[0];

/** Runs `make` and tells of the memory of the VM that it makes. */
async function withMemory<T>(
  make: () => Promise<T>,
): Promise<{ made: T; memory: Memory }> {
  const { open } = Hardware;
  let memory: Memory | undefined;
  Hardware.open = (bytes) => {
    const hardware = open(bytes);
    memory = hardware.memory;
    return hardware;
  };
  try {
    const made = await make();
    return { made, memory: memory! };
  } finally {
    Hardware.open = open;
  }
}

/** What fills 20 MiB of the heap of guest/tests/bigmem.c: the first words. */
function heapPattern(words: number): Bytes {
  const numbers = new BigUint64Array(words);
  numbers.forEach((_, i) =>
    numbers[i] = BigInt.asUintN(64, BigInt(i) * 0x9e37_79b9_7f4a_7c15n)
  );
  return new Uint8Array(numbers.buffer);
}

interface Area {
  start: number;
  end: number;
  prot: number;
  kind: string;
}

function areasOf(sections: readonly Found[]): Area[] {
  const space = sections.find(({ kind }) => kind === "address-space")!;
  return (space.value as { areas: Area[] }).areas;
}

for (const compress of [false, true]) {
  const packed = compress ? "packed" : "raw";
  kvmTest(
    `image-format.md: a reader made from it places each page of a VM's memory, ${packed}`,
    async () => {
      const [program] = await guest("bigmem");
      await using scratch = new Scratch();
      const path = scratch.file("vm.img");
      const { made: test, memory } = await withMemory(() =>
        TestVm.create({
          program,
          args: ["20"],
          memoryBytes: 64 * 1024 * 1024,
          onSave: async (vm) => {
            await vm.pause();
            await vm.save(path, { compress });
          },
        })
      );
      await using _ = test;
      void test.run().catch(() => {});
      while (test.vm.state !== "paused") {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const sections = await readByTheBook(Deno.readFileSync(path));
      const parts = sections.filter(({ kind }) => kind === "memory");
      assert(parts.length > 1);
      const read = memoryByTheBook(sections);
      assertEquals(read.length, memory.sizeBytes);
      assert(Buffer.compare(read, memory.u8) === 0, "the memories differ");

      // The program's own addresses: its code is as in its file…
      const file = Deno.readFileSync(program);
      const code = executableSegment(file);
      assertEquals(
        programBytesByTheBook(sections, read, code.va, code.lengthBytes),
        file.slice(code.fileOffset, code.fileOffset + code.lengthBytes),
      );
      // …and the words it wrote are behind one of its areas, 16 bytes in:
      // before them is what malloc notes.
      const pattern = heapPattern(65536);
      const holds = areasOf(sections).some(({ start, end }) =>
        end - start > pattern.length + 16 && Buffer.compare(
            programBytesByTheBook(sections, read, start + 16, pattern.length),
            pattern,
          ) === 0
      );
      assert(holds, "the words are not where the document says");
    },
  );
}

/** The executable segment of a program (elf(5): ELF64, p_type 1, PF_X). */
function executableSegment(
  file: Uint8Array<ArrayBuffer>,
): { va: number; fileOffset: number; lengthBytes: number } {
  const view = new DataView(file.buffer);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const [table, count] = [u64(32), view.getUint16(56, true)];
  for (let at = table; at < table + count * 56; at += 56) {
    if (view.getUint32(at, true) !== 1) continue;
    if ((view.getUint32(at + 4, true) & 1) === 0) continue;
    return {
      fileOffset: u64(at + 8),
      va: u64(at + 16),
      lengthBytes: u64(at + 32),
    };
  }
  throw new Error("the program has no executable segment");
}

kvmTest(
  "image-format.md: a reader made from it finds the content of a carried file",
  async () => {
    const [program] = await guest("app");
    await using scratch = new Scratch();
    const path = scratch.file("vm.img");
    await using test = await TestVm.create({
      program,
      cwd: scratch.path,
      allow: { read: [scratch.path], write: [scratch.path] },
      onSave: async (vm) => {
        await vm.save(path, { carryFiles: true });
        return "stop";
      },
    });
    await test.run();
    const [table, ...content] = (await readByTheBook(Deno.readFileSync(path)))
      .filter(({ kind }) => kind === "fd-table");
    const { files, descriptors } = table.value as {
      files: { type: string; path: string; offset: number }[];
      descriptors: { fd: number; file: number }[];
    };
    const file = descriptors.find(({ fd }) => fd === 3)!.file;
    assertEquals(files[file].type, "host");
    assertEquals(files[file].path, scratch.file("ay_caramba"));
    assertEquals(files[file].offset, 16);
    const pieces = content.filter(({ value }) =>
      (value as { file: number }).file === file
    );
    const read: number[] = [];
    for (const { value, data } of pieces) {
      assertEquals((value as { offset: number }).offset, read.length);
      read.push(...data);
    }
    assertEquals(
      new Uint8Array(read),
      Deno.readFileSync(scratch.file("ay_caramba")),
    );
  },
);

/** A schema as valibot has them; which members there are depends on `type`. */
interface Schema {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly item?: Schema;
  readonly wrapped?: Schema;
  readonly options?: readonly (Schema | string)[];
  readonly items?: readonly Schema[];
  readonly literal?: unknown;
}

/** What the document calls a type. */
const TYPES: Readonly<Record<string, string>> = {
  number: "number",
  bigint: "u64",
  custom: "bytes",
  string: "text",
  boolean: "flag",
  literal: "text",
  picklist: "text",
  object: "map",
  array: "list",
};

/** Every field that a schema names, and the document's word for its type. */
function fieldsOf(schema: Schema, path: string): [string, string][] {
  switch (schema.type) {
    case "object":
      return Object.entries(schema.entries!).flatMap(([key, entry]) =>
        fieldsOf(entry, path ? `${path}.${key}` : key)
      );
    case "variant":
      return schema.options!.flatMap((option) =>
        fieldsOf(option as Schema, path)
      );
    case "nullable": {
      const inner = fieldsOf(schema.wrapped!, path);
      return schema.wrapped!.type === "object"
        ? [[path, "map"], ...inner]
        : inner;
    }
    case "optional":
    case "exact_optional":
      return fieldsOf(schema.wrapped!, path);
    case "array":
      return ["object", "variant", "tuple"].includes(schema.item!.type)
        ? fieldsOf(schema.item!, `${path}[]`)
        : [[path, "list"]];
    case "tuple":
      return [[path, schema.items!.length === 2 ? "pair" : "three"]];
    case "union": {
      const types = schema.options!.map((option) =>
        fieldsOf(option as Schema, path)[0][1]
      );
      // A number of 64 bits is any number.
      return [[path, types.includes("u64") ? "u64" : types.join(" or ")]];
    }
    case "literal":
      return [[path, typeof schema.literal === "boolean" ? "flag" : "text"]];
    default:
      return [[path, TYPES[schema.type] ?? schema.type]];
  }
}

/** The fields and types in the tables under a heading of the chapter. */
function fieldsInDocument(kind: string): [string, string][] {
  const section = CHAPTER.split(`\n### ${kind}\n`)[1]?.split("\n### ")[0];
  assert(section, `image-format.md says nothing of ${kind}`);
  return [...section.matchAll(/^\| `([^`]+)` +\| (\w+(?: or \w+)?) +\|/gm)]
    .map(([, name, type]) => [name, type]);
}

/** Without what is there twice, in order: so that two lists can be compared. */
function sorted(fields: readonly (readonly [string, string])[]): string[] {
  return [...new Set(fields.map(([name, type]) => `${name}: ${type}`))].sort();
}

const SCHEMAS = [
  machineState,
  addressSpaceState,
  processState,
  clockState,
  pendingState,
  filesState,
  devicesState,
  memoryState,
];

for (const { kind, schema } of SCHEMAS) {
  Deno.test(`image-format.md: it has every field of ${kind} with its type, and no other`, () => {
    const fields = fieldsOf(schema as unknown as Schema, "");
    assert(fields.length > 0);
    assertEquals(sorted(fieldsInDocument(kind)), sorted(fields));
  });
}

Deno.test("image-format.md: it has every field of vcpu, and no other", () => {
  const { entries } = vcpuState.schema;
  const fields = Object.entries(entries as Record<string, v.GenericSchema>)
    .map(([name, { type }]): [string, string] => [name, TYPES[type]]);
  assertEquals(sorted(fieldsInDocument("vcpu")), sorted(fields));
});

kvmTest(
  "image-format.md: it has the sections of a real image, in their order",
  async () => {
    await using scratch = new Scratch();
    const path = scratch.file("vm.img");
    await saveImage(path);
    const sections = (await readByTheBook(Deno.readFileSync(path)))
      .filter(({ kind }) => kind !== "counter");
    const rows = CHAPTER.matchAll(
      /^\| `([\w-]+)` +\| `([\w-]+)` +\| +(\d+) +\|/gm,
    );
    const found = new Set(
      sections.map(({ kind, id, version }) => `${kind} ${id} ${version}`),
    );
    assertEquals(
      [...rows].map(([, ...words]) => words.join(" ")),
      [...found],
    );
  },
);
