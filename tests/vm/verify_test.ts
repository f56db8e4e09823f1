/**
 * Damaged memory in an image that is large enough to be checked in the
 * background.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { ImageError, ImageFile, type VerifyPolicy } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, resources, Scratch, TestVm } from "../support.ts";

/** An image of a program with 24 MiB, and a byte of them changed. */
async function damagedImage(scratch: Scratch): Promise<string> {
  const [program] = await guest("bigmem");
  const path = scratch.file("vm.img");
  await using test = await TestVm.create({
    program,
    args: ["24"],
    onSave: async (vm) => {
      await vm.save(path);
      return "stop";
    },
  });
  await test.run();
  using image = await ImageFile.open(path);
  const { dataOffset } = image.sections.find((s) => s.dataBytes > 2 ** 24)!;
  using file = await Deno.open(path, { write: true });
  await file.seek(dataOffset + 5_000_000, Deno.SeekMode.Start);
  await file.write(Uint8Array.of(0x5a));
  return path;
}

kvmTest("verify: a program does not end well on damaged memory", async () => {
  await using scratch = new Scratch();
  const path = await damagedImage(scratch);
  const before = resources();
  for (const verify of [undefined, "background"] as const) {
    await using test = await TestVm.restore(path, { verify });
    const error = await assertRejects(() => test.run(), ImageError);
    assertEquals(error.code, "IMAGE_CORRUPT");
    assertEquals(test.vm.state, "stopped");
  }
  assertEquals(resources().fds, before.fds);
});

kvmTest("verify: damage is not saved again as if it were sound", async () => {
  await using scratch = new Scratch();
  const path = await damagedImage(scratch);
  await using test = await TestVm.restore(path);
  const again = scratch.file("again.img");
  await assertRejects(() => test.vm.save(again), ImageError, "damaged");
  await assertRejects(() => test.run(), ImageError, "damaged");
  assertEquals([...Deno.readDirSync(scratch.path)].length, 1);
});

kvmTest("verify: first refuses damage, none is the user's word", async () => {
  await using scratch = new Scratch();
  const path = await damagedImage(scratch);
  await assertRejects(
    () => TestVm.restore(path, { verify: "first" }),
    ImageError,
    "damaged",
  );
  const verify: VerifyPolicy = "none";
  await using test = await TestVm.restore(path, { verify });
  assertEquals(await test.run(), { kind: "exited", code: 0 });
  assertEquals(test.output.stdout, "1 wrong\n");
});

kvmTest(
  "verify: a signal gives up a restore, and nothing is left",
  async () => {
    await using scratch = new Scratch();
    const path = await damagedImage(scratch);
    const before = resources();
    const stop = new AbortController();
    const restoring = TestVm.restore(path, {
      verify: "first",
      signal: stop.signal,
    });
    stop.abort(new Error("enough"));
    await assertRejects(() => restoring, Error, "enough");
    assertEquals(resources().fds, before.fds);
  },
);
