/**
 * A relay that cannot be made leaves nothing.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { quoted, run } from "../../cli/command.ts";
import { Scratch } from "../../support.ts";

const PROCESS = new URL("relay_process.ts", import.meta.url).pathname;

Deno.test("relay: with too few descriptors it is an error, and none is left open", async () => {
  await using scratch = new Scratch();
  const temporary = scratch.file("tmp");
  Deno.mkdirSync(temporary);
  const command = [Deno.execPath(), "run", "-A", "--no-check", PROCESS];
  const { status, stdout, stderr } = await run([
    ...["sh", "-c"],
    `ulimit -n 100; export TMPDIR=${quoted(temporary)}; exec ${
      command.map(quoted).join(" ")
    }`,
  ]);
  assertEquals([status, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assert(lines.length > 4, stdout);
  for (const line of lines) {
    assertMatch(line, /^\d: (made|too many open files), 0 more are open$/);
  }
  assertMatch(lines[0], /too many/);
  assertMatch(lines.at(-1)!, /made/);
  assertEquals([...Deno.readDirSync(temporary)], []);
});
