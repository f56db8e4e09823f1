/**
 * The lab: a program is frozen to a file in one process and thawed in another.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, vm } from "../support.ts";

/** A trace with the addresses, which follow from the program, left out. */
function withoutAddresses(trace: string): string {
  return trace.replace(/\b7ff[0-9a-f]{9}\b/g, "7ff…");
}

for (const name of ["app", "app_pie", "app_musl"]) {
  kvmTest(
    `lab: ${name} is saved, then restored in another process`,
    async () => {
      const [app] = await guest(name);
      await using scratch = new Scratch();
      const trace = "--trace-to=stdout";
      const saved = await vm(
        ["run", trace, "--on-save=file:vm.img", app],
        scratch.path,
      );
      assertEquals(saved.stderr, "");
      assertEquals(
        withoutAddresses(saved.stdout),
        "OPEN ./ay_caramba 32834 511 - return 3\n" +
          "WRITE 3 7ff… 16 - return 16\n" +
          "SAVE OPERATION\n",
      );
      assertEquals(saved.status, 0);
      assertEquals(
        await Deno.readTextFile(scratch.file("ay_caramba")),
        "before the save\n",
      );
      const restored = await vm(["restore", trace, "vm.img"], scratch.path);
      assertEquals(restored.stderr, "");
      assertEquals(
        withoutAddresses(restored.stdout),
        "RESTORE OPERATION\n" +
          "WRITE 3 7ff… 12 - return 12\n" +
          "CLOSE 3 - return 0\n" +
          "EXIT 0\n",
      );
      assertEquals(restored.status, 0);
      assertEquals(
        await Deno.readTextFile(scratch.file("ay_caramba")),
        "before the save\nafter it...\n",
      );
    },
    name,
  );
}

kvmTest("lab: the trace goes to stderr unless told otherwise", async () => {
  const [hello] = await guest("hello");
  await using scratch = new Scratch();
  const run = await vm(["run", "--trace", hello], scratch.path);
  assertEquals(run.stdout, "hello\n");
  assertMatch(run.stderr, /^WRITE 1 [0-9a-f]+ 6 - return 6$/m);
  assertMatch(run.stderr, /^EXIT 0$/m);
});

kvmTest("lab: one image can be restored more than once", async () => {
  const [saves] = await guest("saves");
  await using scratch = new Scratch();
  await vm(["run", "--on-save=one.img", saves, "1"], scratch.path);
  for (let i = 0; i < 2; i++) {
    const { stdout } = await vm(["restore", "one.img"], scratch.path);
    assertEquals(stdout, "1 0\n");
  }
});
