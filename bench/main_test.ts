/**
 * The benchmarks run, print what they say, and leave nothing behind.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTest } from "../tests/kvm_gate.ts";
import { summarize } from "./statistics.ts";
import { formatTable } from "./table.ts";

const MAIN = new URL("main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

async function bench(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", CONFIG, MAIN, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

kvmTest(
  "bench: the chosen measurements are printed, and no other",
  async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const { code, stdout, stderr } = await bench(
        ["--quick", "--json", "exit", "image"],
        { TMPDIR: folder },
      );
      assertEquals(code, 0, stderr);
      const { machine, results } = JSON.parse(stdout);
      assertEquals(machine.kernel, Deno.osRelease());
      assertEquals(results.map(({ title }: { title: string }) => title), [
        "one exit",
        "image of an idle VM",
        "image of an idle VM, compressed",
      ]);
      const [exit, image, compressed] = results;
      assert(exit.samples.ours.every((seconds: number) => seconds > 0));
      assertEquals(exit.samples.ours.length, exit.samples.c.length);
      assert(compressed.spread.ours.median < image.spread.ours.median);
      assertEquals([...Deno.readDirSync(folder)], []);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

Deno.test("bench: what there is not to measure is a usage error", async () => {
  for (const [arg, what] of [["exits", '"exits"'], ["--fast", "--fast"]]) {
    const { code, stdout, stderr } = await bench([arg]);
    assertEquals(code, 2);
    assertEquals(stdout, "");
    assert(stderr.includes(what), stderr);
  }
});

kvmTest("bench: a machine without gcc is told what to install", async () => {
  const { code, stderr } = await bench(["exit"], { PATH: "/nowhere" });
  assertEquals(code, 1);
  assert(stderr.includes("gcc"), stderr);
  assert(stderr.includes("install"), stderr);
});

Deno.test("bench: ratios are of pairs, and aims are met to two decimals", () => {
  const row = { title: "a", quantity: "time", against: "c" } as const;
  const slow = summarize({
    ...row,
    aim: 1.05,
    samples: { ours: [2, 30, 2.2], c: [1, 10, 2] },
  });
  assertEquals(slow.ratio, { median: 2, min: 1.1, max: 3 });
  assertEquals(slow.spread.ours, { median: 2.2, min: 2, max: 30 });
  assertEquals(slow.reached, false);
  const fits = { ...row, aim: 1.05, samples: { ours: [1.054], c: [1] } };
  assertEquals(summarize(fits).reached, true);
  const rate = { ...fits, quantity: "rate", aim: 1.06 } as const;
  assertEquals(summarize(rate).reached, false);
});

Deno.test("bench: a table shows units that suit, and what explains a row", () => {
  const lines = formatTable([
    summarize({
      title: "short",
      quantity: "time",
      samples: { ours: [29.5e-6, 30e-6, 31e-6], c: [30e-6, 30e-6, 30e-6] },
      against: "c",
      aim: 1.05,
      notes: ["because"],
    }),
    summarize({
      title: "large",
      quantity: "size",
      samples: { ours: [3 * 1024 * 1024] },
    }),
  ]);
  assertEquals(lines[2].split(/ {2,}/), [
    "short",
    "30.0 µs (29.5-31.0)",
    "30.0 µs",
    "1.00 x C (0.98-1.03)",
    "<= 1.05 yes",
  ]);
  assertEquals(lines[3].split(/ {2,}/), ["large", "3.00 MiB"]);
  assertEquals(lines.at(-1), "short: because");
});
