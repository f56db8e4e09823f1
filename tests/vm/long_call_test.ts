/**
 * System calls that move much: they are done in steps, between which a VM can
 * be paused and saved.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { decode } from "cborg";
import { ImageFile } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { STEP_BYTES } from "../../src/linux/user_memory.ts";
import { delay, guest, native, Scratch, TestVm } from "../support.ts";

/** How much of the waiting call an image says was done. */
async function doneBytes(path: string): Promise<number> {
  using image = await ImageFile.open(path);
  const section = image.sections.find(({ kind }) => kind === "pending-io")!;
  const { call } = decode(section.payload);
  return call?.doneBytes ?? 0;
}

kvmTest("long call: a program is moved in the middle of one", async () => {
  const [program] = await guest("long_call");
  await using natively = new Scratch();
  await using inVm = new Scratch();
  const args = ["200"];
  const expected = await native(program, args, natively.path);
  const image = inVm.file("vm.img");
  const allow = { read: [inVm.path], write: [inVm.path] };
  let test = await TestVm.create({ program, args, cwd: inVm.path, allow });
  let movedInside = 0;
  for (let turns = 0; !test.vm.end; turns++) {
    const running = test.run();
    running.catch(() => {});
    await delay(2);
    await test.vm.pause();
    if (test.vm.end || turns % 8 !== 0) continue;
    await test.vm.save(image);
    if (await doneBytes(image) === 0) continue;
    movedInside++;
    await test[Symbol.asyncDispose]();
    test = await TestVm.restore(image, { allow, verify: "none" }, test);
  }
  console.log(`moved ${movedInside} times inside a call`);
  assert(movedInside > 0);
  assertEquals(test.output.stdout, expected.stdout);
  await test[Symbol.asyncDispose]();
});

kvmTest(
  "long call: a read of more than there is gives what there is",
  async () => {
    const [program] = await guest("timed_read");
    await using test = await TestVm.create({ program });
    const run = test.run();
    await test.until("ready\n");
    // All that one step of it takes, and no end.
    test.console.push(new Uint8Array(STEP_BYTES).fill(120));
    assertEquals(await run, { kind: "exited", code: 0 });
    assertEquals(
      test.output.stdout,
      `ready\nread ${STEP_BYTES}, begins with 120, all the time 1\n`,
    );
  },
);
