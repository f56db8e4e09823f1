/**
 * System calls on the address space, compared with Linux.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch } from "../support.ts";
import { compareTest, runInVm } from "./compare.ts";

compareTest("memory", "the address space's calls answer as Linux's");
compareTest("sources", "pages know their file, and are read from it again");
compareTest("beyond_file", "who touches what a file has not is told where");

compareTest(
  "new_addresses",
  "page tables are used again, and nothing is found where they were",
  // Less than all of its tables would take.
  { vm: { memoryBytes: 16 * 1024 * 1024 } },
);

/** Ways in which an access is taken away; each ends the program. */
const FAULTS = [
  "write-read-only",
  "read-none",
  "hole",
  "moved",
  "shrunk",
  "replaced",
  "heap",
  "execute",
  "beyond-the-end",
];

for (const how of FAULTS) {
  compareTest("memory", `${how}: the access ends the program as on Linux`, {
    args: [how],
  });
}

kvmTest("memory: no protection key is left, and nobody is told", async () => {
  const [program] = await guest("memory");
  await using scratch = new Scratch();
  const run = await runInVm(program, { args: ["key"] }, scratch.path);
  assertEquals(run.stdout, "-1 28\n"); // ENOSPC
  assertEquals(run.warnings, []);
});

kvmTest(
  "memory: a mapped file that memory has no room for gives ENOMEM",
  async () => {
    const [program] = await guest("big_file_map");
    await using scratch = new Scratch();
    for (const [mebibytes, expected] of [["8", "0 0"], ["64", "1 12"]]) {
      const setting = {
        args: [mebibytes],
        vm: { memoryBytes: 32 * 1024 * 1024 },
      };
      const run = await runInVm(program, setting, scratch.path);
      assertEquals(run.stdout, `${expected}\n`);
      assertEquals(run.status, 0);
    }
  },
);
