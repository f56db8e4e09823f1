/**
 * A program that holds locks on a file, and tries them from beside.
 *
 * @module
 */

import { delay, guest, type Scratch, TestVm } from "../support.ts";

/** What another open file gets while the program holds its own locks. */
export const ALL_HELD: readonly string[] = ["-1 11", "-1 11", "0 0", "-1 11"];

/** What the program got that tried to take locks beside its own. */
export function triedByAnother(stdout: string): string[] {
  return stdout.split("\n")
    .filter((line) => line.startsWith("f") && line.includes("other, "))
    .map((line) => line.trimEnd().split(" ").slice(-2).join(" "));
}

/**
 * A VM that holds locks on f in the scratch folder, paused in its SAVE(), and
 * what its run ends with.
 */
export async function locked(
  scratch: Scratch,
): Promise<{ test: TestVm; run: ReturnType<TestVm["run"]> }> {
  const [program] = await guest("locks");
  const test = await TestVm.create({
    program,
    args: ["held"],
    cwd: scratch.path,
    allow: { read: [scratch.path], write: [scratch.path] },
    onSave: async (vm) => {
      await vm.pause();
      return 0;
    },
  });
  const run = test.run();
  while (test.vm.state !== "paused") await delay(1);
  return { test, run };
}
