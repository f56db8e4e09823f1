import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  Bus,
  type Device,
  MMIO_END_GPA,
  MMIO_GPA,
  SYSCALL_PORT,
  VmError,
} from "../../src/vmm/mod.ts";
import { holds } from "./property.ts";

/** A device with these ranges: [first, length]. */
function device(
  id: string,
  ports: [number, number][],
  mmio: [number, number][] = [],
): Device {
  return {
    id,
    kind: "test",
    version: 1,
    dump: () => ({ answer: "nothing" }),
    ports: ports.map(([first, count]) => ({ first, count })),
    mmio: mmio.map(([gpa, lengthBytes]) => ({ gpa, lengthBytes })),
  };
}

Deno.test("bus: every port and address leads to the device that claimed it", () => {
  const bus = new Bus();
  const uart = device("uart", [[0x3f8, 8]], [[MMIO_GPA, 0x1000]]);
  const other = device("other", [[0x400, 1], [0xffff, 1]], [
    [MMIO_GPA + 0x1000, 1],
    [MMIO_END_GPA - 8, 8],
  ]);
  bus.attach(uart);
  bus.attach(other);
  for (let port = 0; port < 0x10000; port++) {
    const owner = port >= 0x3f8 && port < 0x400
      ? uart.ports![0]
      : port === 0x400
      ? other.ports![0]
      : port === 0xffff
      ? other.ports![1]
      : undefined;
    if (bus.port(port) !== owner) assertStrictEquals(bus.port(port), owner);
  }
  assertStrictEquals(bus.mmio(MMIO_GPA), uart.mmio![0]);
  assertStrictEquals(bus.mmio(MMIO_GPA + 0xfff), uart.mmio![0]);
  assertStrictEquals(bus.mmio(MMIO_GPA + 0x1000), other.mmio![0]);
  assertEquals(bus.mmio(MMIO_GPA + 0x1001), undefined);
  assertEquals(bus.mmio(MMIO_GPA - 1), undefined);
  assertStrictEquals(bus.mmio(MMIO_END_GPA - 1), other.mmio![1]);
});

Deno.test("bus: a range outside of what there is, is refused by name", () => {
  const ports: [number, number][] = [
    [-1, 1],
    [0, 0],
    [0, -1],
    [0xffff, 2],
    [0x10000, 1],
    [NaN, 1],
    [1, NaN],
    [0, Infinity],
    [0x500 + 0.5, 1],
    [0x500, 1.5],
    [0x500, 0.5],
    [2 ** 53, 1],
    ["1280" as never, 1],
  ];
  for (const range of ports) {
    const error = assertThrows(
      () => new Bus().attach(device("bad", [range])),
      VmError,
      `Cannot attach "bad"`,
    );
    assertEquals(error.code, "VM_DEVICE");
  }
  const mmio: [number, number][] = [
    [0, 1],
    [MMIO_GPA - 1, 1],
    [MMIO_GPA - 1, 2],
    [MMIO_END_GPA, 1],
    [MMIO_END_GPA - 1, 2],
    [NaN, NaN],
    [MMIO_GPA + 0.5, 1],
    [MMIO_GPA, 7.5],
  ];
  for (const range of mmio) {
    assertThrows(() => new Bus().attach(device("bad", [], [range])), VmError);
  }
});

Deno.test("bus: the machine's own ports cannot be claimed, and answer for nobody", () => {
  const bus = new Bus();
  for (const port of [SYSCALL_PORT, 0x80, 0x9f]) {
    assertThrows(
      () => bus.attach(device("bad", [[port, 1]])),
      VmError,
      "overlaps a range of the machine",
    );
    assertEquals(bus.port(port), undefined);
  }
  bus.attach(device("around", [[SYSCALL_PORT + 1, 0x80 - SYSCALL_PORT - 1]]));
});

Deno.test("bus: random claims never overlap, and a device that is refused leaves nothing", () => {
  const range = fc.tuple(
    fc.integer({ min: 0x100, max: 0x180 }),
    fc.integer({ min: 1, max: 24 }),
  );
  const devices = fc.array(fc.array(range, { minLength: 1, maxLength: 3 }), {
    maxLength: 12,
  });
  holds("bus", 200, devices, (all) => {
    const bus = new Bus();
    const owners = new Map<number, string>();
    for (const [index, ranges] of all.entries()) {
      const id = `device${index}`;
      const wanted = ranges.flatMap(([first, count]) =>
        Array.from({ length: count }, (_, i) => first + i)
      );
      const taken = wanted.find((port) => owners.has(port));
      const own = new Set(wanted).size === wanted.length;
      if (taken === undefined && own) {
        bus.attach(device(id, ranges));
        for (const port of wanted) owners.set(port, id);
      } else {
        const error = assertThrows(
          () => bus.attach(device(id, ranges)),
          VmError,
        );
        assertEquals(error.message.includes(`Cannot attach "${id}"`), true);
        assertEquals(error.message.includes("overlaps a range of"), true);
      }
      for (let port = 0x100; port < 0x1a0; port++) {
        assertEquals(bus.port(port) !== undefined, owners.has(port));
      }
    }
  });
});
