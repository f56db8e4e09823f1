/**
 * `deno task demo`, where it works and where it cannot.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { Scratch } from "../support.ts";
import { assertRefused, run } from "./command.ts";

/** The demo's command, in an environment without what else is on the PATH. */
function demoWords(path?: string): string[] {
  const script = new URL("../../scripts/demo.ts", import.meta.url).pathname;
  const environment = path === undefined ? [] : [`PATH=${path}`];
  return ["env", ...environment, Deno.execPath(), "run", "-A", script];
}

kvmTest(
  "demo: saves, restores and shows both outputs and the file",
  async () => {
    const { status, stdout, stderr } = await run(demoWords());
    assertEquals({ status, stderr }, { status: 0, stderr: "" });
    assertStringIncludes(stdout, "\nSAVE OPERATION\n");
    assertStringIncludes(stdout, "\nRESTORE OPERATION\n");
    assertStringIncludes(
      stdout,
      "ay_caramba: 28 bytes\nbefore the save\nafter it...\n",
    );
  },
);

Deno.test("demo: without a C compiler it says so, and ends with status 1", async () => {
  await using scratch = new Scratch();
  const outcome = await run(demoWords(scratch.path));
  assertRefused(
    outcome,
    1,
    /^vm: Cannot build guest programs: no C compiler; install gcc/,
  );
});
