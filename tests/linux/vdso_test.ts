/**
 * The time without leaving the VM, compared with Linux's vDSO.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Hardware } from "../../src/linux/hardware.ts";
import { VVAR_VA } from "../../src/linux/vdso/layout.ts";
import { nominalTscRate } from "../../src/linux/vdso/tsc_source.ts";
import { putTogether, takeApart, valueOf } from "../cli/hostile_image.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch, seeded, TestVm } from "../support.ts";
import { compare, VARIANTS } from "./compare.ts";

/** The time-stamp counter (Intel SDM volume 4, table 2-2). */
const IA32_TSC = 0x10;

const MEMORY_BYTES = 8 * 1024 * 1024;

/** Whether this machine's counter is one to tell the time by. */
function isTscUsable(): boolean {
  using hardware = Hardware.open(MEMORY_BYTES);
  return nominalTscRate(hardware.vcpu) !== undefined;
}

for (const variant of VARIANTS) {
  const name = `vdso${variant}`;
  kvmTest(
    `${name}: its functions answer as Linux's, and none of a million times is before the last`,
    async () => {
      const [program] = await guest(name);
      // Of each of four clocks; fewer where each of them leaves the VM.
      const count = isTscUsable() ? 250_000 : 300;
      const run = await compare(program, { args: [`${count}`] });
      assertEquals(run.warnings, []);
    },
    name,
  );
}

kvmTest(
  "vdso: a program that reads the time hardly ever leaves the VM, if the counter can tell it",
  async () => {
    const [program] = await guest("bench_clock");
    const isUsable = isTscUsable();
    const count = isUsable ? 1_000_000 : 500;
    await using test = await TestVm.create({ program, args: [`${count}`] });
    assertEquals(await test.run(), { kind: "exited", code: 0 });
    const { exits } = test.vm;
    console.log(`${exits} exits for ${count} calls`);
    if (isUsable) assert(exits < count / 10, `${exits}`);
    else assert(exits >= count, `${exits}`);
  },
  "bench_clock",
);

kvmTest(
  "vdso: a program that was saved in the middle of reading the time, to go on elsewhere, sees none go back or jump",
  async () => {
    const random = seeded("vdso");
    const [program] = await guest("clock_loop");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const args = ["600"];
    let test = await TestVm.create({
      program,
      args,
      memoryBytes: MEMORY_BYTES,
    });
    let ended = test.run();
    try {
      for (let save = 0; save < 20; save++) {
        if (save === 0) await test.until("started");
        else await delay(random() * 25);
        if (test.vm.end) break;
        await test.vm.save(image, { stop: true });
        assertEquals(await ended, { kind: "saved" });
        // Where it goes on, the counter is at another place.
        const pieces = await takeApart(image);
        const { msrs } = valueOf(pieces, "vcpu");
        const tsc = msrs.find(({ index }: { index: number }) =>
          index === IA32_TSC
        );
        tsc.value = BigInt(Math.floor(random() * 2 ** 50));
        const { areas, blocks } = valueOf(pieces, "address-space");
        assert(
          areas.some(({ kind, start }: { kind: string; start: number }) =>
            kind === "vvar" && start === VVAR_VA
          ),
        );
        assert(blocks.length > 0);
        await putTogether(image, pieces);
        const next = await TestVm.restore(image, {}, test);
        await test[Symbol.asyncDispose]();
        test = next;
        ended = test.run();
      }
      assertEquals(await ended, { kind: "exited", code: 0 });
      const { stdout } = test.output;
      assert(stdout.includes("went back 0 times"), stdout);
      const longest = Number(/longest step (\d+) ms/.exec(stdout)?.[1]);
      // A jump would be that of the counter: hours.
      assert(longest < 600_000, stdout);
    } finally {
      await test[Symbol.asyncDispose]();
    }
  },
  "clock_loop",
);

kvmTest(
  "vdso: a program may use the place of its vDSO for something else",
  async () => {
    const [program] = await guest("no_vdso");
    await using test = await TestVm.create({ program });
    assertEquals(await test.run(), { kind: "exited", code: 0 });
    assertEquals(test.output.stdout, "as it was left: 1\n");
  },
  "no_vdso",
);

/** Whether the host's kernel has what was there before the vDSO. */
const HAS_VSYSCALL = Deno.readTextFileSync("/proc/self/maps").includes(
  "[vsyscall]",
);

kvmTest(
  "vsyscall: what programs called before there was a vDSO is answered",
  async () => {
    const [program] = await guest("vsyscall");
    await using test = await TestVm.create({ program });
    assertEquals(await test.run(), { kind: "exited", code: 0 });
    const lines = test.output.stdout.trimEnd().split("\n");
    assertEquals(lines.length, 11);
    assertEquals(lines.slice(-2), ["between 11", "no stack 11"]);
    if (!HAS_VSYSCALL) return;
    await compare(program);
  },
  "vsyscall",
);
