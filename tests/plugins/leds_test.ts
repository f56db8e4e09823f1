import { assertEquals, assertThrows } from "@std/assert";
import leds, { inPlace, makeLeds } from "../../plugins/leds.ts";
import { testDevice } from "../../src/testing/mod.ts";
import { kvmTest, portTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm, vm } from "../support.ts";

testDevice(() => recorded().definition(), async (device) => {
  await device.out(0x520, await device.in(0x520) ^ 0x5a);
});

const HALF = ["1000", "0100", "0010", "0001"];
const BACK = ["0010", "0100", "1000"];

/** A device that keeps what it would draw, and that. */
function recorded() {
  const drawn: string[] = [];
  const definition = makeLeds({ draw: (_id, text) => drawn.push(text) });
  return { drawn, definition };
}

kvmTest(
  "leds: saved in the middle, they are drawn as they were, then go on",
  async () => {
    const [program] = await guest("lights");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const args = ["1"];
    const whole = recorded();
    const first = recorded();
    const second = recorded();
    {
      await using test = await TestVm.create({
        program,
        args,
        devices: [whole.definition({ count: 4 })],
        onSave: () => Promise.resolve(),
      });
      assertEquals(await test.run(), { kind: "exited", code: 0 });
      assertEquals(test.output.stdout, "turned at 0001\n");
    }
    {
      await using test = await TestVm.create({
        program,
        args,
        devices: [first.definition({ count: 4 })],
        onSave: async (vm) => {
          await vm.save(image);
          return "stop";
        },
      });
      assertEquals(await test.run(), { kind: "saved" });
    }
    {
      await using test = await TestVm.restore(image, {
        devices: [second.definition()],
      });
      assertEquals(second.drawn, ["0001"]);
      assertEquals(await test.run(), { kind: "exited", code: 0 });
      assertEquals(test.output.stdout, "thawed at 0001\n");
    }
    assertEquals(first.drawn, HALF);
    assertEquals(second.drawn, ["0001", ...BACK]);
    assertEquals(whole.drawn, [...HALF, ...BACK]);
  },
);

kvmTest("leds: its file takes text and numbers, and nothing else", async () => {
  const [program] = await guest("device");
  const { drawn, definition } = recorded();
  const lines = ["10110000", "0x0f\n", "00000001\n00000010\n", "2", "0x100"];
  lines.push("1", "11111111\nx\n", "00000010");
  await using test = await TestVm.create({
    program,
    args: [
      "open",
      "/dev/leds",
      ...lines.flatMap((line) => ["write", line]),
      ..."pread 99 0 pread 2 6 ioctl 1 x".split(" "),
    ],
    devices: [definition()],
  });
  assertEquals(await test.run(), { kind: "exited", code: 0 });
  assertEquals(test.output.stdout.split("\n"), [
    "open: 3",
    "write: 8",
    "write: 5",
    "write: 18",
    ...Array(4).fill("write: EINVAL"),
    "write: 8",
    "pread: 9 00000010",
    "",
    "pread: 2 10",
    "ioctl: ENOTTY",
    "data: x",
    "",
  ]);
  assertEquals(drawn, ["10110000", "00001111", "00000001", "00000010"]);
});

kvmTest(
  "leds: where stderr is no terminal each change is a line, also after a restore by the image alone",
  async () => {
    const [program] = await guest("lights");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const plugin = new URL("../../plugins/leds.ts", import.meta.url).pathname;
    const lines = (all: string[]) => all.map((one) => `leds0: ${one}\n`);
    const saved = await vm([
      "run",
      `--device=${plugin}:count=4`,
      `--on-save=file:${image}`,
      program,
      "1",
    ], scratch.path);
    assertEquals(saved.status, 0, saved.stderr);
    const before = saved.stderr.split("vm: ")[0];
    assertEquals(before, lines(HALF).join(""));
    const restored = await vm(["restore", image], scratch.path);
    assertEquals(restored.stdout, "thawed at 0001\n");
    assertEquals(restored.stderr, lines(["0001", ...BACK]).join(""));
  },
);

portTest("leds: its port sets them and gives them", async () => {
  const [program] = await guest("device");
  const { drawn, definition } = recorded();
  await using test = await TestVm.create({
    program,
    args: "out 0x600 0xa5 in 0x600 open /dev/leds pread 9 0".split(" "),
    devices: [definition({ port: 0x600 })],
  });
  assertEquals(await test.run(), { kind: "exited", code: 0 });
  assertEquals(
    test.output.stdout,
    "in: 165\nopen: 3\npread: 9 10100101\n\n",
  );
  assertEquals(drawn, ["10100101"]);
});

/** What a device is made with, outside of a VM. */
function context(warnings: string[] = []) {
  return {
    id: "leds0",
    config: { count: 8, port: 0x520 },
    signal: new AbortController().signal,
    savedParts: [],
    warn: (message: string) => void warnings.push(message),
    wake() {},
  };
}

Deno.test("leds: what is written to the port beyond their number is dropped", () => {
  const { drawn, definition } = recorded();
  const device = definition.create(context());
  const [port] = device.ports!;
  port.write!(0x520, 4, 0xffff_ff81);
  port.write!(0x520, 1, 0x81); // no change
  assertEquals(port.read!(0x520, 1), 0x81);
  assertEquals(drawn, ["10000001"]);
  assertEquals(device.dump(), { bits: 0x81 });
});

Deno.test("leds: saved state that is none is refused", () => {
  for (const bits of [-1, 256, 0.5, NaN, "1", undefined]) {
    assertThrows(() => leds.create(context(), { bits: bits as number }));
  }
});

Deno.test("leds: a drawing that fails is a warning, and they are set", () => {
  const warnings: string[] = [];
  const draw = () => {
    throw new Error("no paper");
  };
  const device = makeLeds({ draw }).create(context(warnings));
  device.ports![0].write!(0x520, 1, 3);
  assertEquals(device.dump(), { bits: 3 });
  assertEquals(warnings, ["cannot draw: no paper"]);
});

Deno.test("leds: on a terminal they are drawn over those before", () => {
  assertEquals(
    inPlace("10"),
    "\r\x1b[K\x1b[1;31m●\x1b[0m \x1b[2m○\x1b[0m ",
  );
  assertEquals(leds.contained, true);
});
