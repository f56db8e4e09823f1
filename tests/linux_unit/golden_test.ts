/**
 * Images of whole VMs that earlier versions made, which must be read forever:
 * see golden/README.md.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  checkFiles,
  clockState,
  filesState,
  HostPaths,
  IoVector,
  pendingState,
  ScriptConsole,
} from "../../src/devices/mod.ts";
import { AddressSpace } from "../../src/linux/address_space.ts";
import { addressSpaceState } from "../../src/linux/address_space_state.ts";
import { Devices } from "../../src/linux/devices.ts";
import { devicesState } from "../../src/linux/devices_state.ts";
import { machineState } from "../../src/linux/machine_state.ts";
import { processState } from "../../src/linux/process.ts";
import { findDevices } from "../../src/linux/restore_devices.ts";
import {
  VDSO_VA,
  VVAR,
  VVAR_LAYOUT,
  VVAR_VA,
} from "../../src/linux/vdso/layout.ts";
import { VvarPage } from "../../src/linux/vdso/vvar_page.ts";
import { readSaved, type SavedVm } from "../../src/linux/thaw.ts";
import { ImageError, ImageFile, type Section } from "../../src/state/mod.ts";
import {
  mapImageFile,
  Memory,
  memoryState,
  vcpuState,
} from "../../src/vmm/mod.ts";
import framebuffer from "../../plugins/framebuffer.ts";

const MEMORY_BYTES = 8 * 1024 * 1024;

function open(name: string): Promise<ImageFile> {
  return ImageFile.open(new URL(`golden/${name}`, import.meta.url).pathname);
}

/** The version of each component in an image. */
function versions({ sections }: ImageFile): string[] {
  return sections.map(({ kind, version }) => `${kind} ${version}`);
}

/** All that an image says, decoded, and its memory as the program had it. */
async function read(
  image: ImageFile,
  given: Parameters<typeof findDevices>[1] = [],
) {
  await image.verifyData();
  const found = await findDevices(image.sections, given);
  const readData = (section: Section) => image.readData(section);
  const saved = readSaved(image.sections, readData, found);
  assertEquals(saved.machine.memoryBytes, MEMORY_BYTES);
  const memory = new Memory(MEMORY_BYTES);
  mapImageFile(memory, saved.memory, image);
  return { saved, memory };
}

/** Whether a text is anywhere in memory. */
function holds(memory: Memory, text: string): boolean {
  const bytes = new TextDecoder("latin1").decode(memory.u8);
  return bytes.includes(text);
}

/** What an address space would save. */
function stateOf(space: AddressSpace): unknown {
  const dump = space.dump();
  return dump.answer === "payload" ? dump.value : undefined;
}

function tableOf({ files: [{ state }] }: SavedVm) {
  if (state.part !== "table") throw new Error("the table is no first part");
  return state;
}

/** Of the lab's program: the versions of two components, and its devices. */
const OF_THE_LAB: [
  name: string,
  addressSpace: number,
  fdTable: number,
  devices: string[],
][] = [
  ["before_devices", 1, 1, []],
  ["app", 2, 2, ["devices", "counter", "kv", "rtc", "leds"]],
  ["vdso", 3, 2, []],
];

for (const [name, addressSpace, fdTable, own] of OF_THE_LAB) {
  Deno.test(`golden: ${name}.image is read whole, and is the lab's program in the middle`, async () => {
    using image = await open(`${name}.image`);
    assertEquals(versions(image), [
      "machine 1",
      "vcpu 1",
      `address-space ${addressSpace}`,
      "process 1",
      "clock 1",
      "pending-io 1",
      `fd-table ${fdTable}`,
      ...own.map((kind) => `${kind} 1`),
      "memory 1",
    ]);
    const { saved, memory } = await read(image);
    using _memory = memory;
    await using _devices = Devices.make(saved.devices);
    const space = new AddressSpace(memory, saved.space);
    assertEquals(stateOf(space), saved.space);
    const areas = new Set(saved.space.areas.map(({ kind }) => kind));
    assertEquals(areas.has("program") && areas.has("stack"), true);
    assertEquals(holds(memory, "before the save\n"), true);
    const table = tableOf(saved);
    assertEquals(table.descriptors.map(({ fd }) => fd), [0, 1, 2, 3]);
    const file = table.files[3];
    assertEquals(file.type === "host" && [file.path, file.offset], [
      "/tmp/golden/ay_caramba",
      16n,
    ]);
    assertEquals(
      saved.devices.map(({ id }) => id),
      own.slice(1).map((kind) => `${kind}0`),
    );
    assertEquals(saved.pending.calls, []);
  });
}

Deno.test("golden: devices.image is read whole, and its devices are as they were", async () => {
  using image = await open("devices.image");
  const error = await assertRejects(() => read(image), ImageError);
  assertEquals(error.code, "IMAGE_MISSING");
  const { saved, memory } = await read(image, [framebuffer()]);
  using _memory = memory;
  await using devices = Devices.make(saved.devices);
  const isDevice = (gpa: number, lengthBytes: number) =>
    devices.claims(gpa, lengthBytes);
  const space = new AddressSpace(memory, saved.space, isDevice);
  assertEquals(stateOf(space), saved.space);
  const mapped = saved.space.areas.find(({ kind }) => kind === "device")!;
  assertEquals(mapped.end - mapped.start, 4096);
  const pixel = new Uint8Array(4);
  const claim = devices.bus.mmio(mapped.gpa!)!;
  await claim.read!(mapped.gpa! - claim.gpa + 4, pixel);
  assertEquals(pixel.toHex(), "56341200");
  assertThrows(() => new AddressSpace(memory, saved.space));

  const [pipe] = tableOf(saved).pipes;
  const { buffered } = tableOf(saved);
  assertEquals(pipe.lengthBytes, 5);
  assertEquals(new TextDecoder().decode(buffered.subarray(0, 5)), "piped");
  using paths = new HostPaths({ read: [], write: [] });
  using files = await checkFiles(saved.files, {
    paths,
    console: new ScriptConsole({}),
    policy: "check",
    reopen: (state) => devices.reopen(state),
  });
  const fds = files.finish();
  const io = new IoVector(memory);
  io.reset(true);
  io.add(0, 100);
  io.wantedBytes = 100;
  const length = fds.file(3)!.read(io);
  assertEquals(
    new TextDecoder().decode(memory.u8.slice(0, length)),
    "5\nvalue",
  );
  fds.closeAll();
});

Deno.test("golden: vdso.image has a vDSO whose data gives no time, and is served", async () => {
  using image = await open("vdso.image");
  const { saved, memory } = await read(image);
  using _memory = memory;
  const space = new AddressSpace(memory, saved.space);
  assertEquals(space.areas.find(VDSO_VA)?.kind, "vdso");
  assertEquals(space.areas.find(VVAR_VA)?.kind, "vvar");
  const data = space.locate(VVAR_VA);
  assertEquals(memory.view.getUint32(data + VVAR.sequence, true) & 1, 1);
  assertEquals(memory.view.getUint32(data + VVAR.layout, true), VVAR_LAYOUT);
  assertEquals(new VvarPage(memory, space).isThere, true);
});

Deno.test("golden: state.image has the threads, signals, timers and files of its program", async () => {
  using image = await open("state.image");
  const { saved, memory } = await read(image);
  using _memory = memory;
  const { process } = saved;
  assertEquals([...process.tasks.values()].map(({ state }) => state.name), [
    "golden_state_mu",
    "at futex",
    "at pipe",
  ]);
  assertEquals(
    saved.pending.calls.map(({ task, call }) => [task, call.operation]),
    [[1, "futex"], [2, "read"]],
  );
  assertEquals([...process.signalActions.keys()].includes(10), true);
  assertEquals(process.state.signals.map(({ signal }) => signal), [35]);
  assertEquals(process.current.state.signals.map(({ signal }) => signal), [1]);
  assertEquals(process.state.intervalTimers.length, 1);
  assertEquals(process.state.timers.length, 1);
  assertEquals(process.limits.get(7), [100n, 200n]);
  const types = tableOf(saved).files.map(({ type }) => type);
  for (
    const type of ["pipe", "socket", "epoll", "eventfd", "timerfd", "signalfd"]
  ) {
    assertEquals([type, types.includes(type as typeof types[0])], [type, true]);
  }
});

Deno.test("golden: buffered.image has what pipes, sockets and files of /proc held", async () => {
  using image = await open("buffered.image");
  const { saved, memory } = await read(image);
  using _memory = memory;
  assertEquals(saved.files.map(({ state }) => state.part), [
    "table",
    "buffered",
  ]);
  using paths = new HostPaths({ read: [], write: [] });
  using files = await checkFiles(saved.files, {
    paths,
    console: new ScriptConsole({}),
    policy: "check",
  });
  const fds = files.finish();
  const io = new IoVector(memory);
  const next = (fd: number) => {
    io.reset(true);
    io.add(0, 100);
    io.wantedBytes = 100;
    const length = fds.file(fd)!.read(io);
    return new TextDecoder().decode(memory.u8.slice(0, Math.max(length, 0)));
  };
  // The pipe, two packets, the stream, and /proc/self/comm behind "golden_".
  assertEquals([3, 6, 6, 7, 9].map(next), [
    "in a pipe",
    "one",
    "packets",
    "in a stream",
    "buffered\n",
  ]);
  assertEquals([6, 7, 9].map(next), ["", "", ""]);
  fds.closeAll();
});

Deno.test("golden: there is an image of the present version of each component", async () => {
  const found = new Set<string>();
  for (const { name } of Deno.readDirSync(new URL("golden", import.meta.url))) {
    if (!name.endsWith(".image")) continue;
    using image = await open(name);
    for (const version of versions(image)) found.add(version);
  }
  const present = [
    ...[machineState, vcpuState, addressSpaceState, processState, clockState],
    ...[pendingState, filesState, devicesState, memoryState],
  ].map(({ kind, version }) => `${kind} ${version}`);
  assertEquals(present.filter((version) => !found.has(version)), []);
});
