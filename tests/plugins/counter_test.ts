import { assertEquals } from "@std/assert";
import counter from "../../plugins/counter.ts";
import { portTest } from "../kvm_gate.ts";
import { testDevice } from "../../src/testing/mod.ts";
import { guest, Scratch, TestVm } from "../support.ts";

portTest("counter: it goes on after a restore from where it was", async () => {
  const [program] = await guest("device");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const args = "in 0x500 in32 0x500 save in 0x500 out 0x500 9 in 0x501 in 0x500"
    .split(" ");
  await using first = await TestVm.create({
    program,
    args,
    devices: [counter({ step: 3 })],
    onSave: async (vm) => {
      await vm.save(image);
      return "stop";
    },
  });
  assertEquals(await first.run(), { kind: "saved" });
  assertEquals(first.output.stdout, "in: 3\nin32: 6\n");
  for (let i = 0; i < 2; i++) {
    await using second = await TestVm.restore(image, {
      devices: [counter()],
    });
    assertEquals(await second.run(), { kind: "exited", code: 0 });
    assertEquals(
      second.output.stdout,
      "save: 1\nin: 9\nin: 3\nin: 12\n",
    );
  }
});

testDevice(() => counter({ step: 2 }), async (device) => {
  await device.in(0x500, 4);
});
