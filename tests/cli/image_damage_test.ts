/**
 * Images that were cut or changed on the way: each is refused, before the VM
 * runs, with nothing left behind.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, resources, Scratch, seeded, TestVm, vm } from "../support.ts";
import { ImageError, type ImageErrorCode, Vm } from "../../mod.ts";
import { assertRefused, assertTidy, run, vmWords } from "./command.ts";
import { saveTiny } from "./hostile_image.ts";

/** What restoring throws. */
async function refusal(image: string): Promise<ImageError> {
  let restored: Vm;
  try {
    restored = await Vm.restore(image);
  } catch (error) {
    assert(error instanceof ImageError, `${error}`);
    return error;
  }
  await restored[Symbol.asyncDispose]();
  throw new Error("it was restored");
}

for (const compress of [false, true]) {
  const kind = compress ? "packed" : "plain";

  kvmTest(`image: a ${kind} one cut at any byte is refused`, async () => {
    await using scratch = new Scratch();
    const image = await saveTiny(scratch.path, compress);
    const { size } = Deno.statSync(image);
    await refusal("/nonexistent"); // what is loaded once is loaded
    const before = resources();
    for (let length = size - 1; length >= 0; length--) {
      Deno.truncateSync(image, length);
      const error = await refusal(image);
      assertEquals(
        error.code,
        "IMAGE_TRUNCATED",
        `${length}: ${error.message}`,
      );
      assertEquals(error.offset, length);
    }
    assertEquals(resources().fds, before.fds);
    console.log(`cut at each of ${size} bytes of a ${kind} one`);
  });

  kvmTest(`image: a ${kind} one with any byte changed is refused`, async () => {
    const random = seeded("image damage");
    await using scratch = new Scratch();
    const image = await saveTiny(scratch.path, compress);
    const good = Deno.readFileSync(image);
    const allowed: ImageErrorCode[] = [
      "IMAGE_CORRUPT",
      "IMAGE_NOT_AN_IMAGE",
      "IMAGE_TRUNCATED",
    ];
    await refusal("/nonexistent");
    const before = resources();
    using file = Deno.openSync(image, { write: true });
    const put = (offset: number, byte: number) => {
      file.seekSync(offset, Deno.SeekMode.Start);
      file.writeSync(Uint8Array.of(byte));
    };
    for (const [offset, byte] of good.entries()) {
      put(offset, byte ^ (1 + Math.floor(random() * 255)));
      const error = await refusal(image);
      assert(allowed.includes(error.code), `${offset}: ${error.code}`);
      assert(error.offset !== undefined, `${offset}: ${error.message}`);
      put(offset, byte);
    }
    assertEquals(resources().fds - before.fds, 1); // `file`
    // It was not refused for another reason.
    await using test = await TestVm.restore(image);
    assertEquals(await test.run(), { kind: "exited", code: 1 });
    console.log(`changed each of ${good.length} bytes of a ${kind} one`);
  });
}

kvmTest(
  "vm restore: a damaged image gives status 4 and where it is",
  async () => {
    const random = seeded("vm restore damage");
    await using scratch = new Scratch();
    const [saves] = await guest("saves");
    await vm(["run", "--on-save=vm.img", saves], scratch.path);
    const good = Deno.readFileSync(scratch.file("vm.img"));
    const restore = () =>
      run(vmWords("restore", "vm.img"), { cwd: scratch.path });
    for (let i = 0; i < 12; i++) {
      const bytes = good.slice();
      const at = Math.floor(random() * bytes.length);
      bytes[at] ^= 1 << Math.floor(random() * 8);
      Deno.writeFileSync(scratch.file("vm.img"), bytes);
      assertRefused(
        await restore(),
        4,
        /^vm: Cannot read "vm.img": .* damaged/,
      );
    }
    for (let i = 0; i < 6; i++) {
      const length = 8 + Math.floor(random() * (good.length - 8));
      Deno.writeFileSync(scratch.file("vm.img"), good.subarray(0, length));
      assertRefused(
        await restore(),
        4,
        new RegExp(
          `^vm: Cannot read "vm.img": it ends at byte ${length}, inside`,
        ),
      );
    }
    Deno.writeFileSync(scratch.file("vm.img"), good);
    assertEquals((await restore()).stdout, "1 0\n");
    assertEquals([...Deno.readDirSync(scratch.path)].length, 1);
  },
);

kvmTest(
  "vm restore: what is no image is refused with its own reason",
  async () => {
    await using scratch = new Scratch();
    const cases: [name: string, bytes: Uint8Array, message: RegExp][] = [
      ["empty", new Uint8Array(), /it is empty$/m],
      [
        "text",
        new TextEncoder().encode("hello\n"),
        /it is not a ScratchVM image$/m,
      ],
      ["zeros", new Uint8Array(100_000), /it is not a ScratchVM image$/m],
    ];
    for (const [name, bytes, message] of cases) {
      Deno.writeFileSync(scratch.file(name), bytes);
      const outcome = await run(vmWords("restore", scratch.file(name)));
      assertRefused(outcome, 4, message);
    }
    const restore = (path: string) => run(vmWords("restore", path));
    assertRefused(await restore(scratch.path), 1, /it is not a regular file/);
    assertRefused(await restore(scratch.file("none")), 1, /No such file/);
    const fifo = scratch.file("fifo");
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    assertRefused(await restore(fifo), 1, /it is not a regular file/);
  },
);

kvmTest(
  "image: damage in a large one stops the VM when it is found",
  async () => {
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const [bigmem] = await guest("bigmem");
    const options = { program: bigmem, args: ["96"], cwd: scratch.path };
    {
      await using first = await TestVm.create({
        ...options,
        onSave: async (vm) => {
          await vm.save(image);
          return "stop" as const;
        },
      });
      assertEquals((await first.run()).kind, "saved");
    }
    const { size } = Deno.statSync(image);
    assert(size > 64 * 1024 ** 2, `${size}`);
    // Near its end, in a page of memory: that is looked at last.
    using file = Deno.openSync(image, { read: true, write: true });
    const at = size - 1024 ** 2;
    const byte = new Uint8Array(1);
    file.seekSync(at, Deno.SeekMode.Start);
    file.readSync(byte);
    byte[0] ^= 0x10;
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(byte);
    const outcome = await vm(["restore", image], scratch.path);
    assertEquals(outcome.status, 4, outcome.stderr);
    assertMatch(
      outcome.stderr,
      /^vm: Cannot read .*: the data of .* is damaged$/m,
    );
    assertTidy(outcome.stderr);
  },
);
