/**
 * Areas of a program's address space that a device answers.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { filesState } from "../../src/devices/mod.ts";
import { AddressSpace } from "../../src/linux/address_space.ts";
import {
  addressSpaceState,
  type AddressSpaceStateV5,
} from "../../src/linux/address_space_state.ts";
import { UserMemory } from "../../src/linux/user_memory.ts";
import { decodeState, type Dump, toSection } from "../../src/state/mod.ts";
import {
  BLOCK_BYTES,
  Memory,
  MMIO_GPA,
  VmError,
  writeBootPages,
} from "../../src/vmm/mod.ts";

const VA = 0x4000_0000;
const READ_WRITE = 3;

function space(memory: Memory): AddressSpace {
  writeBootPages(memory);
  return new AddressSpace(memory);
}

function stateOf(of: AddressSpace): AddressSpaceStateV5 {
  const dump = of.dump() as Extract<Dump, { answer: "payload" }>;
  return decodeState(
    addressSpaceState,
    toSection({ ...addressSpaceState, id: "address-space" }, dump.value),
  );
}

Deno.test("device areas: they are no memory to the VMM, whether touched or not", () => {
  using memory = new Memory(16 * BLOCK_BYTES);
  const areas = space(memory);
  const user = new UserMemory(memory, areas);
  const free = areas.blocks.freeBytes;
  assertEquals(areas.mapDevice(VA, 0x5000, READ_WRITE, MMIO_GPA), VA);
  for (const touched of [false, true]) {
    if (touched) assert(areas.fault(VA, 1));
    assertEquals(user.translate(VA, false), -1);
    assertEquals(user.translate(VA + 0x4fff, true), -1);
    assertEquals(user.read(VA, new Uint8Array(1)), false);
    assertEquals(user.readString(VA), -14);
    assertEquals(areas.locate(VA), -1);
    assertEquals(areas.tables.isPopulated(VA), false);
  }
  assertEquals(areas.blocks.freeBytes, free);
  // Beside memory, in the same 2 MiB.
  assertEquals(
    areas.map(VA + 0x5000, 4096, READ_WRITE, "anonymous"),
    VA + 0x5000,
  );
  assert(user.write(VA + 0x5000, new Uint8Array([1])));
  assertEquals(user.write(VA + 0x4fff, new Uint8Array([1, 2])), false);
  areas.unmap(VA, 0x6000);
  assertEquals(areas.blocks.freeBytes, free);
  assertEquals(areas.fault(VA, 1), false);
});

Deno.test("device areas: a part that is left leads where it led", () => {
  using memory = new Memory(16 * BLOCK_BYTES);
  const areas = space(memory);
  areas.mapDevice(VA, 0x5000, READ_WRITE, MMIO_GPA);
  areas.mapDevice(VA + 0x5000, 0x1000, READ_WRITE, MMIO_GPA + 0x5000);
  areas.unmap(VA + 0x1000, 0x1000);
  areas.map(VA + 0x3000, 0x1000, READ_WRITE, "anonymous");
  const devices = stateOf(areas).areas
    .filter(({ kind }) => kind === "device")
    .map(({ start, end, gpa }) => [start - VA, end - VA, gpa! - MMIO_GPA]);
  assertEquals(devices, [
    [0, 0x1000, 0],
    [0x2000, 0x3000, 0x2000],
    [0x4000, 0x5000, 0x4000],
    [0x5000, 0x6000, 0x5000],
  ]);
});

Deno.test("device areas: at a restore each must be within what a device claims", () => {
  using memory = new Memory(16 * BLOCK_BYTES);
  const areas = space(memory);
  areas.mapDevice(VA, 0x2000, READ_WRITE, MMIO_GPA + 0x1000);
  const state = stateOf(areas);
  const claims = (gpa: number, lengthBytes: number) =>
    gpa >= MMIO_GPA && gpa + lengthBytes <= MMIO_GPA + 0x3000;
  assertEquals(stateOf(new AddressSpace(memory, state, claims)), state);
  const changes: Partial<AddressSpaceStateV5["areas"][number]>[] = [
    { gpa: MMIO_GPA + 0x2000 },
    { gpa: MMIO_GPA + 1 },
    { gpa: 0 },
    { gpa: 0x1000 },
    { kind: "anonymous" },
    { end: VA + 0x3000 },
    { gpa: undefined },
  ];
  for (const change of changes) {
    const area = { ...state.areas[0], ...change };
    if (area.gpa === undefined) delete area.gpa;
    const wrong = { ...state, areas: [area] };
    assertThrows(
      () => new AddressSpace(memory, wrong, claims),
      VmError,
      "leads to a device that is not there",
    );
  }
  assertThrows(() => new AddressSpace(memory, state), VmError);
});

Deno.test("state: sections of version 1 load as they were, without locks", () => {
  const space = {
    areas: [{ start: VA, end: VA + 4096, prot: 3, kind: "anonymous" }],
    blocks: [],
    tables: { next: 0x16000, end: BLOCK_BYTES, blocks: [] },
    brkStart: 0,
    brk: 0,
  };
  const files = {
    part: "table",
    descriptors: [{ fd: 0, file: 0, closeOnExec: false }],
    files: [{ type: "device", flags: 2, path: "/dev/null" }],
    pipes: [],
    consoleInput: new Uint8Array(),
    consoleEnded: false,
  };
  const none = { held: [], kept: [], locks: [], texts: [], terminal: null };
  for (
    const [schema, old, added] of [
      [addressSpaceState, space, { files: [], sources: [] }],
      [filesState, files, { ...none, buffered: new Uint8Array() }],
    ] as const
  ) {
    const { kind } = schema;
    const section = toSection({ kind, id: kind, version: 1 }, old);
    assertEquals(decodeState<unknown>(schema, section), {
      ...old,
      ...added,
    });
  }
});

Deno.test("state: descriptors of version 4 have no packets, seals or kept files", () => {
  const [inode, capacityBytes] = [1, 4096];
  const pipe = { inode, capacityBytes, content: new Uint8Array(3) };
  const ends = { readEndOpen: true, writeEndOpen: true };
  const host = {
    type: "host",
    flags: 2,
    path: "/tmp/x",
    offset: 0n,
    isFolder: false,
    identity: {
      device: "1",
      inode: "2",
      sizeBytes: 0,
      modifiedNs: "0",
      digest: null,
    },
    isUnlinked: false,
    isCarried: false,
  };
  const old = {
    part: "table",
    descriptors: [],
    files: [host],
    held: [],
    pipes: [{ ...pipe, ...ends }],
    locks: [],
    consoleInput: new Uint8Array(),
    consoleEnded: false,
    terminal: null,
  };
  const { kind } = filesState;
  const section = toSection({ kind, id: kind, version: 4 }, old);
  assertEquals<unknown>(decodeState(filesState, section), {
    ...old,
    kept: [],
    files: [{ ...host, seals: null }],
    pipes: [{ ...ends, inode, capacityBytes, lengthBytes: 3, segments: [] }],
    texts: [],
    buffered: new Uint8Array(3),
  });
});
