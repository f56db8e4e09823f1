/**
 * Programs that a signal has stopped.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { SIGNAL } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch, TestVm } from "../support.ts";

kvmTest(
  "stop: a stopped program goes on at SIGCONT, also when it was thawed meanwhile",
  async () => {
    const [program] = await guest("stop");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const stops: number[] = [];
    const stopped = [Promise.withResolvers<void>(), Promise.withResolvers()];
    const options = {
      onStop: (_vm: unknown, signal: number) => {
        stops.push(signal);
        stopped[stops.length - 1].resolve();
      },
    };
    await using first = await TestVm.create({
      program,
      args: ["from_outside"],
      ...options,
    });
    void first.run();
    await stopped[0].promise;
    assertEquals(first.vm.stopSignal, SIGNAL.SIGSTOP);
    await first.vm.save(image, { stop: true });
    await using second = await TestVm.restore(image, options, first);
    assertEquals(second.vm.stopSignal, SIGNAL.SIGSTOP);
    const end = second.run();
    const before = second.output.stdout;
    await delay(100);
    assertEquals(second.output.stdout, before);
    second.vm.signal(SIGNAL.SIGCONT);
    while (second.output.stdout.split("\n").length < 4) await delay(1);
    // It computes now: it is stopped all the same.
    second.vm.signal(SIGNAL.SIGTSTP);
    await stopped[1].promise;
    second.vm.signal(SIGNAL.SIGCONT);
    assertEquals(await end, { kind: "exited", code: 0 });
    assertEquals(stops, [SIGNAL.SIGSTOP, SIGNAL.SIGTSTP]);
    const results = second.output.stdout.trim().split("\n")
      .map((line) => Number(line.split(/ +/).at(-2)));
    assertEquals(results, [0, 0, 1, 2]);
  },
);

kvmTest(
  "stop: SIGKILL ends a stopped program, and somebody is told of the stop",
  async () => {
    const [program] = await guest("stop");
    await using test = await TestVm.create({ program, args: ["from_outside"] });
    const end = test.run();
    while (test.vm.stopSignal === undefined) await delay(1);
    test.vm.signal(SIGNAL.SIGKILL);
    const { kind, ...how } = await end;
    assertEquals(kind, "signaled");
    assertEquals("signal" in how && how.signal, SIGNAL.SIGKILL);
    assert(test.warnings.some((line) => line.includes("SIGSTOP")));
  },
);
