import { assert, assertEquals } from "@std/assert";
import { lineTracer } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";

kvmTest(
  "trace: a file's name cannot send commands to the terminal",
  async () => {
    const [program] = await guest("escape");
    await using scratch = new Scratch();
    const lines: string[] = [];
    await using test = await TestVm.create({
      program,
      cwd: scratch.path,
      allow: { read: [scratch.path], write: [scratch.path] },
      args: ["a\u009b31m\u202e\u001b[2J\nOPEN é"],
      tracer: lineTracer((line) => lines.push(line)),
    });
    await test.run();
    const shown = "a\\u009b31m\\u202e\\u001b[2J\\u000aOPEN é";
    assertEquals(
      lines.find((line) => line.startsWith("OPEN a")),
      `OPEN ${shown} 32768 0 - return -2`,
    );
    for (const line of lines) {
      assert(/^[A-Z0-9]+ [\x20-\x7eé]*$/.test(line), JSON.stringify(line));
    }
  },
);
