import { assert, assertEquals } from "@std/assert";

const PROCESS = new URL("relay_process.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

/** Room for what the runtime has open, and for some more (setrlimit(2)). */
const MAX_DESCRIPTORS = 100;

Deno.test("relay: one that cannot begin for want of descriptors leaves none open", async () => {
  const words = [Deno.execPath(), "run", "-A", "--no-check", "--config"];
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: [
      "-c",
      `ulimit -n ${MAX_DESCRIPTORS}; exec "$@"`,
      "sh",
      ...words,
      CONFIG,
      PROCESS,
    ],
  }).output();
  const text = new TextDecoder();
  const lines = text.decode(stdout).trim().split("\n");
  assertEquals(lines.length, 17, text.decode(stderr));
  for (const line of lines) {
    assert(/^(begun|refused) (0|-\d+)$/.test(line), lines.join("\n"));
  }
  // It needs three, and each was missing once.
  assertEquals(lines[0], "begun 0");
  assert(lines.filter((line) => line.startsWith("refused")).length >= 3);
});
