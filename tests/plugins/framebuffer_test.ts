import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { inflateSync } from "node:zlib";
import { ImageError } from "../../mod.ts";
import framebuffer, {
  makeFramebuffer,
  type Screen,
} from "../../plugins/framebuffer.ts";
import { testDevice } from "../../src/testing/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";

testDevice(() => framebuffer({ width: 8, height: 8 }), async (device) => {
  const file = device.open("/dev/fb0");
  await file.write(Uint8Array.of(1, 2, 3, 4));
  file.close();
});

const TITLE = "scratchvm: 64 x 48, 32 bits, red at bit 16\n";

/** Draws the picture to its end; SAVE() goes on at once. */
async function unbroken(
  program: string,
): Promise<{ png: Uint8Array; sum: string }> {
  let screen!: Screen;
  const device = makeFramebuffer({ attached: (s) => screen = s });
  await using whole = await TestVm.create({
    program,
    args: ["3"],
    devices: [device()],
    onSave: () => Promise.resolve(),
  });
  assertEquals(await whole.run(), { kind: "exited", code: 0 });
  const { stdout } = whole.output;
  assertEquals(stdout.split("half\n")[0], TITLE);
  return { png: screen.png(), sum: stdout.split("half\n")[1] };
}

/** The color of a pixel of a PNG as the device makes them. */
function colorAt(png: Uint8Array, x: number, y: number): number[] {
  const view = new DataView(png.buffer, png.byteOffset, png.length);
  const width = view.getUint32(16);
  // Signature, IHDR of 25 bytes, then IDAT.
  const data = png.subarray(41, 41 + view.getUint32(33));
  const at = y * (1 + width * 3) + 1 + x * 3;
  return [...inflateSync(data).subarray(at, at + 3)];
}

kvmTest(
  "framebuffer: a picture saved while it is drawn becomes the same picture",
  async () => {
    const [program] = await guest("picture");
    const { png, sum } = await unbroken(program);
    assertEquals(colorAt(png, 0, 0), [0, 0, 0x60]);
    assertEquals(colorAt(png, 63, 47), [251, 249, 0x60]);
    assertEquals(colorAt(png, 17, 15), [255, 255, 255]);

    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    {
      await using first = await TestVm.create({
        program,
        args: ["3"],
        devices: [framebuffer({ png: scratch.file("half.png") })],
        onSave: async (vm) => {
          await vm.save(image);
          return "stop";
        },
      });
      assertEquals(await first.run(), { kind: "saved" });
      assertEquals(first.output.stdout, `${TITLE}half\n`);
    }
    const half = Deno.readFileSync(scratch.file("half.png"));
    assertEquals(colorAt(half, 5, 8), [255, 255, 255]); // row 5 of the square
    assertEquals(colorAt(half, 5, 9), [19, 47, 0x60]); // row 6 is not drawn yet

    const path = scratch.file("whole.png");
    {
      await using second = await TestVm.restore(image, {
        devices: [framebuffer({ png: path })],
      });
      assertEquals(await second.run(), { kind: "exited", code: 0 });
      assertEquals(second.output.stdout, sum);
      assertEquals(second.warnings, []);
    }
    assertEquals(Deno.readFileSync(path), png);
  },
);

kvmTest(
  "framebuffer: its file and its mapping have the same pixels, and an end",
  async () => {
    const [program] = await guest("device");
    const args = [
      ..."open /dev/fb0 write abcd read 4 pread 4 0 seek 252 write 123456789"
        .split(" "),
      ..."write x pread 9 252 ioctl 0x46ff x".split(" "),
      ..."map 8192 map 4096 peek 0 poke 4 5 peek 4 pread 5 0 pass".split(" "),
    ];
    const device = framebuffer({ width: 8, height: 8 });
    await using test = await TestVm.create({
      program,
      args,
      devices: [device],
    });
    assertEquals(await test.run(), { kind: "exited", code: 0 });
    assertEquals(test.output.stdout.split("\n"), [
      "open: 3",
      "write: 4",
      "read: 4 ", // zeroes
      "pread: 4 abcd",
      "seek: 252",
      "write: 4",
      "write: ENOSPC",
      "pread: 4 1234",
      "ioctl: ENOTTY",
      "data: x",
      "map: EINVAL",
      "map: 0",
      "peek: 1684234849", // "abcd"
      "peek: 5",
      "pread: 5 abcd\x05",
      "pass: EFAULT",
      "",
    ]);
    assertEquals(test.warnings, []);
  },
);

kvmTest(
  "framebuffer: a restore must name it, with no other size",
  async () => {
    const [program] = await guest("device");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    {
      await using first = await TestVm.create({
        program,
        args: ["save"],
        devices: [framebuffer({ width: 20 })],
        onSave: async (vm) => {
          await vm.save(image);
          return "stop";
        },
      });
      assertEquals(await first.run(), { kind: "saved" });
    }
    const missing = await assertRejects(
      () => TestVm.restore(image),
      ImageError,
    );
    assertEquals(missing.code, "IMAGE_MISSING");
    const size = await assertRejects(
      () => TestVm.restore(image, { devices: [framebuffer({ width: 21 })] }),
      ImageError,
    );
    assertEquals(size.code, "IMAGE_STATE");
    assert(size.message.includes("its size was 20 x 48"), size.message);
    await using second = await TestVm.restore(image, {
      devices: [framebuffer()],
    });
    assertEquals(await second.run(), { kind: "exited", code: 0 });
  },
);

Deno.test("framebuffer: saved state that is none is refused", () => {
  const good = { width: 8, height: 8 };
  const make = (saved: typeof good, lengthBytes: number) =>
    framebuffer.create({
      id: "framebuffer0",
      config: { number: 0, png: "" },
      signal: new AbortController().signal,
      savedParts: [{ value: saved, data: new Uint8Array(lengthBytes) }],
      warn() {},
      wake() {},
    }, saved);
  make(good, 4096);
  for (const lengthBytes of [0, 256, 4095, 8192]) {
    assertThrows(() => make(good, lengthBytes), Error, "bytes, not 4096");
  }
  for (const width of [0, -8, 8.5, 2049, NaN, "8"]) {
    const saved = { width: width as number, height: 8 };
    assertThrows(() => make(saved, 4096), Error, "its size is");
  }
});
