/**
 * System calls that the VM does not have.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, vm } from "../support.ts";
import { compareTest, runInVm } from "./compare.ts";

/** What is said of each call that unknown.c makes, once. */
const SAID = ["number 600", "number 100000", "number -1", "create_module"].map(
  (name) => `system call ${name} is not supported: answered with ENOSYS`,
);

compareTest("unknown", "calls that Linux does not have give ENOSYS", {}, SAID);

kvmTest("unknown: each call is named once on stderr", async () => {
  const [program] = await guest("unknown");
  await using scratch = new Scratch();
  const { status, stderr } = await vm(["run", program], scratch.path);
  assertEquals(stderr, SAID.map((line) => `vm: ${line}\n`).join(""));
  assertEquals(status, 0);
});

kvmTest("unknown: any number of them makes no flood of words", async () => {
  const [program] = await guest("unknown");
  await using scratch = new Scratch();
  const { warnings, status } = await runInVm(
    program,
    { args: ["300"] },
    scratch.path,
  );
  assertEquals(status, 0);
  assertEquals(warnings.length, 101);
  assertEquals(
    warnings.at(-1),
    "there is more that is not supported: it is not told",
  );
});

kvmTest(
  "unknown: a machine without nodes of memory is nothing to tell of",
  async () => {
    const [program] = await guest("numa");
    await using scratch = new Scratch();
    const { stdout, warnings } = await runInVm(program, {}, scratch.path);
    assertEquals(stdout.match(/ -1 38$/gm)?.length, 4);
    assertEquals(warnings, []);
  },
);

kvmTest("unknown: --strict ends the program at the first", async () => {
  const [program] = await guest("unknown");
  await using scratch = new Scratch();
  const run = await vm(["run", "--strict", program], scratch.path);
  assertEquals(run.status, 128 + 31); // SIGSYS
  assertEquals(run.stdout, "");
  const [first, second, ...more] = run.stderr.split("\n");
  assertEquals(
    first,
    "vm: system call number 600 is not supported: ended (--strict)",
  );
  assertEquals(
    second.replace(/0x[0-9a-f]+/, "(address)"),
    "vm: the program was ended by SIGSYS (system call number 600 is not supported), RIP (address)",
  );
  assertEquals(more, [""]);
});
