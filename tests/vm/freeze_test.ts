/**
 * Freezing and thawing: what a program prints is what it prints natively.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, native, Scratch, seeded, TestVm } from "../support.ts";
import { checkMoving, statusOf, throughSaves } from "./moving.ts";

/** Programs that call SAVE(), and their arguments. */
const SAVERS: [name: string, ...args: string[]][] = [
  ["simd"],
  ["malloc_stack"],
  ["pipe_half"],
  ["dup_offset"],
  ["append"],
  ["bigmem", "24"],
  ["unlinked"],
  ["nameless"],
  ["saved_signals"],
  ["signalfd", "saved"],
  ["cpu_time", "saved"],
  ["splice", "saved"],
  ["kept", "closed"],
  ["kept", "seals"],
  ["kept", "future"],
  ["kept", "removed"],
  ["sources"],
  ["inotify", "saved"],
  ["futex_pi", "raw"],
  ["futex_pi", "mutexes"],
  ["futex_waitv", "saved"],
  ["seekdir"],
];

for (const [name, ...args] of SAVERS) {
  for (const variant of ["", "_musl"]) {
    for (const compress of [false, true]) {
      const packed = compress ? ", packed" : "";
      kvmTest(
        `freeze: ${name}${variant} thaws at SAVE()${packed}`,
        async () => {
          const [program] = await guest(name + variant);
          await using natively = new Scratch();
          await using inVm = new Scratch();
          const expected = await native(program, args, natively.path);
          const cwd = inVm.path;
          const allow = { read: [cwd], write: [cwd] };
          const got = await throughSaves(
            { program, args, cwd, allow },
            compress,
          );
          assertEquals(got.stdout, expected.stdout);
          assertEquals(got.status, expected.status);
          assert(got.moves > 0, "it was never saved");
          await Deno.remove(inVm.file("vm.img"));
          assertEquals(files(inVm.path), files(natively.path));
        },
        name + variant,
      );
    }
  }
}

/** Names and contents of the files in a folder. */
function files(folder: string): [string, string][] {
  return [...Deno.readDirSync(folder)]
    .map(({ name, isFile }): [string, string] => [
      name,
      isFile ? Deno.readTextFileSync(`${folder}/${name}`) : "",
    ])
    .sort();
}

kvmTest("freeze: SAVE() returns 0 when it goes on, 1 when thawed", async () => {
  const [program] = await guest("saves");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const onSave = async (vm: TestVm["vm"]) => {
    await vm.save(image);
    return 0;
  };
  await using first = await TestVm.create({ program, args: ["2"], onSave });
  assertEquals(statusOf(await first.run()), 0);
  assertEquals(first.output.stdout, "0 0\n0 0\n");
  await using second = await TestVm.restore(image);
  await second.run();
  assertEquals(second.output.stdout, "1 0\n");
});

kvmTest(
  "freeze: SAVE() fails with an errno when it cannot be saved",
  async () => {
    const [program] = await guest("saves");
    await using nobody = await TestVm.create({ program });
    await nobody.run();
    assertEquals(nobody.output.stdout, "-1 38\n"); // ENOSYS
    await using fails = await TestVm.create({
      program,
      onSave: () => Promise.resolve(-5),
    });
    await fails.run();
    assertEquals(fails.output.stdout, "-1 5\n"); // EIO
  },
);

for (
  const [name, gapMs, ...args] of [
    ["tight_loop", 20, "400000000"],
    ["sleep", 60, "400"],
  ] as [string, number, ...string[]][]
) {
  kvmTest(`freeze: ${name} is moved at random moments`, () => {
    const random = seeded(`freeze ${name}`);
    return checkMoving(name, args, () => ({ afterMs: random() * gapMs }));
  });
}

for (const name of ["malloc_stack", "pipe_half", "files", "files_musl"]) {
  kvmTest(`freeze: ${name} is moved at random system calls`, () => {
    const random = seeded(`freeze ${name}`);
    return checkMoving(name, [], () => ({
      afterCalls: 1 + Math.floor(random() * 8),
    }));
  }, name);
}

kvmTest(
  "freeze: dup_offset is moved after each system call",
  () => checkMoving("dup_offset", [], () => ({ afterCalls: 1 })),
);

kvmTest("freeze: a blocked read is completed after the thaw", async () => {
  const [program] = await guest("blocked_read");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const first = await TestVm.create({ program });
  const running = first.run();
  running.catch(() => {});
  await first.until("ready");
  first.console.push("one\n");
  await first.until("one");
  // It waits for input now; half a line is not read when it is saved.
  await first.vm.save(image);
  await first[Symbol.asyncDispose]();
  await using second = await TestVm.restore(image, {}, first);
  const end = second.run();
  await delay(20);
  second.console.push("two\nthr");
  second.console.push("ee\n");
  second.console.end();
  assertEquals(statusOf(await end), 0);
  assertEquals(
    second.output.stdout,
    "ready\n1: one\n2: two\n3: three\nend after 3\n",
  );
});

kvmTest(
  "freeze: input that was not read travels with the program",
  async () => {
    const [program] = await guest("blocked_read");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const first = await TestVm.create({ program });
    first.console.push("early\n");
    await first.vm.save(image);
    await first[Symbol.asyncDispose]();
    await using second = await TestVm.restore(image);
    second.console.end();
    await second.run();
    assertEquals(second.output.stdout, "ready\n1: early\nend after 1\n");
  },
);

kvmTest("freeze: a poll goes on waiting for what was left", async () => {
  const [program] = await guest("poll_stdin");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const args = ["5000"];
  const first = await TestVm.create({ program, args });
  first.run().catch(() => {});
  await first.until("ready");
  await delay(10);
  await first.vm.save(image);
  await first[Symbol.asyncDispose]();
  await using second = await TestVm.restore(image, {}, first);
  const end = second.run();
  second.console.push("now\n");
  await second.until("now");
  second.console.end();
  assertEquals(statusOf(await end), 1);
  assertEquals(second.output.stdout, "bad 1 20\nready\n1 1 now\n");
});

kvmTest("freeze: a save from outside leaves the program running", async () => {
  const [program] = await guest("tight_loop");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const args = ["300000000"];
  const expected = await native(program, args);
  await using first = await TestVm.create({ program, args });
  const running = first.run();
  await delay(30);
  // Two at once: one waits for the other.
  await Promise.all([first.vm.save(image), first.vm.save(image)]);
  assertEquals(first.vm.state, "running");
  await running;
  assertEquals(first.output.stdout, expected.stdout);
  await using second = await TestVm.restore(image);
  await second.run();
  assertEquals(second.output.stdout, expected.stdout);
});
