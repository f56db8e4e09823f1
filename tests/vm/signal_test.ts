/**
 * Signals that a script sends.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { SIGNAL, VmError } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";

for (const how of ["wait", "spin"]) {
  kvmTest(`vm.signal: a program takes signals while it ${how}s`, async () => {
    const [program] = await guest("signalled");
    await using test = await TestVm.create({ program, args: [how] });
    const ended = test.run();
    await test.until("ready\n");
    assertEquals(test.vm.endsBy(SIGNAL.SIGUSR1), false);
    assertEquals(test.vm.endsBy(SIGNAL.SIGHUP), false);
    assertEquals(test.vm.endsBy(SIGNAL.SIGINT), true);
    test.vm.signal(SIGNAL.SIGUSR1);
    await test.until("signal 1, from pid 0\n");
    test.vm.signal(SIGNAL.SIGHUP);
    test.vm.signal(SIGNAL.SIGUSR1);
    await test.until("signal 2, from pid 0\n");
    test.vm.signal(SIGNAL.SIGTERM);
    assertEquals(await ended, { kind: "exited", code: 3 });
    assertThrows(() => test.vm.signal(SIGNAL.SIGTERM), VmError, "stopped");
  });

  kvmTest(`vm.signal: what waits travels with one that ${how}s`, async () => {
    const [program] = await guest("signalled");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    await using test = await TestVm.create({ program, args: [how] });
    test.run().catch(() => {});
    await test.until("ready\n");
    await test.vm.pause();
    test.vm.signal(SIGNAL.SIGUSR1);
    await test.vm.save(image, { stop: true });
    await using thawed = await TestVm.restore(image, {}, test);
    const ended = thawed.run();
    await thawed.until("signal 1, from pid 0\n");
    thawed.vm.signal(SIGNAL.SIGTERM);
    assertEquals(await ended, { kind: "exited", code: 3 });
  });
}

kvmTest("vm.signal: one that nobody handles ends the program", async () => {
  const [program] = await guest("signalled");
  await using test = await TestVm.create({ program, args: ["spin"] });
  const ended = test.run();
  await test.until("ready\n");
  assertThrows(() => test.vm.signal(65), VmError, "must be 1 to 64");
  test.vm.signal(SIGNAL.SIGUSR2);
  const end = await ended;
  assertEquals(end.kind === "signaled" && [end.signal, end.what], [
    SIGNAL.SIGUSR2,
    "sent from outside",
  ]);
});
