/**
 * How much CPU time a VM takes whose program waits.
 *
 * @module
 */

import type { Benchmark, Context, Row } from "./benchmark.ts";

const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** A process has come to its wait when it takes no CPU time for so long, ms. */
const SETTLE_MS = 3000;

/** When it is watched all the same, ms. */
const MOST_SETTLE_MS = 60_000;

/** CPU time of all threads of a process, seconds (schedstat: proc(5)). */
function cpuSeconds(pid: number): number {
  let ns = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const path = `/proc/${pid}/task/${name}/schedstat`;
    ns += Number(Deno.readTextFileSync(path).split(" ")[0]);
  }
  return ns / 1e9;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** CPU time per second of a process that waits for its standard input. */
async function idleSeconds(
  watchedMs: number,
  rounds: number,
  command: string,
  args: readonly string[] = [],
): Promise<number[]> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  try {
    const begun = performance.now();
    for (let last = -1, now; (now = cpuSeconds(child.pid)) > last; last = now) {
      if (performance.now() - begun > MOST_SETTLE_MS) break;
      await sleep(SETTLE_MS);
    }
    const samples = [];
    for (let i = 0; i < rounds; i++) {
      const before = cpuSeconds(child.pid);
      const started = performance.now();
      await sleep(watchedMs);
      const seconds = (performance.now() - started) / 1000;
      samples.push((cpuSeconds(child.pid) - before) / seconds);
    }
    return samples;
  } finally {
    await child.stdin.close();
    await child.status;
  }
}

/** An idle VM. */
export const idle: Benchmark = {
  name: "idle",
  needsKvm: true,
  guests: ["cat"],
  async run(context: Context): Promise<Row[]> {
    const program = context.guest("cat");
    const [watchedMs, rounds] = context.quick ? [1000, 2] : [5000, 5];
    const vm = ["run", "-A", "--config", CONFIG, CLI, "run", program];
    return [{
      title: "CPU time a second of a VM whose program waits for input",
      quantity: "time",
      samples: {
        ours: await idleSeconds(watchedMs, rounds, Deno.execPath(), vm),
        native: await idleSeconds(watchedMs, rounds, program),
      },
    }];
  },
};
