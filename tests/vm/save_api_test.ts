/**
 * Saving from a script: what may be done when, and what is left behind.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VmError } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, native, Scratch, TestVm } from "../support.ts";

const EXITED = { kind: "exited", code: 0 } as const;

/** Waits until a VM is in a state. */
async function reaches(test: TestVm, state: string): Promise<void> {
  while (test.vm.state !== state) await delay(1);
}

kvmTest(
  "save: a VM paused from within onSave goes on when it is run",
  async () => {
    const [program] = await guest("saves");
    await using scratch = new Scratch();
    await using test = await TestVm.create({
      program,
      onSave: async (vm) => {
        await vm.pause();
        await vm.save(scratch.file("vm.img"));
        return 0;
      },
    });
    const first = test.run();
    await reaches(test, "paused");
    assertEquals(test.output.stdout, "");
    assertEquals(await test.run(), EXITED);
    assertEquals(await first, EXITED);
    assertEquals(test.output.stdout, "0 0\n");
  },
);

kvmTest(
  "save: what onSave throws pauses the VM, and loses nothing",
  async () => {
    const [program] = await guest("saves");
    let calls = 0;
    await using test = await TestVm.create({
      program,
      args: ["2"],
      onSave: () =>
        ++calls === 1
          ? Promise.reject(new Error("disk on fire"))
          : Promise.resolve(0),
    });
    await assertRejects(() => test.run(), Error, "disk on fire");
    assertEquals(test.vm.state, "paused");
    assertEquals(await test.run(), EXITED);
    assertEquals(test.output.stdout, "-1 5\n0 0\n"); // EIO, then a save that works
  },
);

kvmTest(
  "save: a VM may be killed or disposed of from within onSave",
  async () => {
    const [program] = await guest("saves");
    for (const dispose of [false, true]) {
      await using test = await TestVm.create({
        program,
        onSave: async (vm) => {
          if (dispose) await vm[Symbol.asyncDispose]();
          else await vm.kill();
          return 0;
        },
      });
      const end = await test.run();
      assertEquals(end.kind === "signaled" && end.signal, 9);
      assertEquals(test.vm.state, "stopped");
      assertEquals(test.output.stdout, "");
    }
  },
);

kvmTest("save: with stop the program goes on in the image alone", async () => {
  const [program] = await guest("tight_loop");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const args = ["300000000"];
  const expected = await native(program, args);
  await using first = await TestVm.create({ program, args });
  const running = first.run();
  await delay(20);
  await first.vm.save(image, { stop: true });
  assertEquals(await running, { kind: "saved" });
  assertEquals(first.vm.state, "stopped");
  await assertRejects(() => first.vm.save(image), VmError, "stopped");
  await assertRejects(() => first.vm.run(), VmError, "stopped");
  await using second = await TestVm.restore(image, {}, first);
  await second.run();
  assertEquals(second.output.stdout, expected.stdout);
});

kvmTest(
  "save: a VM that is run while it is being saved runs after",
  async () => {
    const [program] = await guest("bigmem");
    await using scratch = new Scratch();
    await using test = await TestVm.create({
      program,
      args: ["64"],
      onSave: () => Promise.resolve(0),
    });
    const saving = test.vm.save(scratch.file("vm.img"));
    await Promise.resolve();
    const running = test.run();
    assertEquals(test.vm.state, "created");
    await saving;
    assertEquals(await running, EXITED);
  },
);

kvmTest(
  "save: a pause during a save is kept, and so is a run after it",
  async () => {
    const [program] = await guest("tight_loop");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const args = ["300000000"];
    const expected = await native(program, args);
    await using test = await TestVm.create({ program, args });
    const running = test.run();
    for (const gapMs of [0, 1, 3]) {
      await delay(5);
      const saving = test.vm.save(image);
      await delay(gapMs);
      await test.vm.pause();
      await saving;
      assertEquals(test.vm.state, "paused");
      const again = test.vm.save(image);
      await test.vm.pause();
      void test.run();
      await again;
      assertEquals(test.vm.state, "running");
    }
    assertEquals(await running, EXITED);
    assertEquals(test.output.stdout, expected.stdout);
  },
);

kvmTest(
  "save: disposing of a VM ends a save, which leaves no file",
  async () => {
    const [program] = await guest("bigmem");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const test = await TestVm.create({
      program,
      args: ["64"],
      onSave: (vm) => {
        const save = vm.save(image);
        saved = save.then(() => "saved", () => "given up");
        return save.then(() => 0);
      },
    });
    let saved: Promise<string> | undefined;
    const running = test.run().catch(() => {});
    while (!saved) await delay(1);
    await test[Symbol.asyncDispose]();
    await running;
    const result = await saved;
    const left = [...Deno.readDirSync(scratch.path)].map(({ name }) => name);
    // It may have been complete already; half of it never is there.
    assertEquals(left, result === "saved" ? ["vm.img"] : []);
  },
);

kvmTest("save: a signal gives up a save, and the VM goes on", async () => {
  const [program] = await guest("saves");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  await Deno.writeTextFile(image, "the old image");
  await using test = await TestVm.create({ program });
  await assertRejects(() =>
    test.vm.save(image, { signal: AbortSignal.abort(new Error("enough")) })
  );
  assertEquals(await Deno.readTextFile(image), "the old image");
  assertEquals(test.vm.state, "created");
  assert((await test.run()).kind === "exited");
});
