/**
 * From nothing to a language's first output: started natively, and thawed from
 * an image that was saved when it was ready.
 *
 * @module
 */

import { ScriptConsole, Vm } from "../mod.ts";
import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { firstOutput } from "./first_output.ts";

const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const PYTHON = "/usr/bin/python3";

/** What is loaded before the program asks what to do. */
const IMPORTS = {
  nothing: "",
  "json, asyncio and sqlite3": "import json, asyncio, sqlite3",
};

const ANSWER = "hello\n";

/** Loads, says so, waits for a line, and says it. */
const waiting = (imports: string) =>
  `${imports}\nprint("ready", flush=True)\nprint(input(), flush=True)`;

/** Seconds until a VM of this process, restored, has printed something. */
async function thaw(image: string): Promise<number> {
  const started = performance.now();
  const printed = Promise.withResolvers<void>();
  const script = new ScriptConsole({ stdout: () => printed.resolve() });
  script.push(ANSWER);
  await using vm = await Vm.restore(image, { console: script });
  vm.run().catch(printed.reject);
  await printed.promise;
  return secondsSince(started);
}

/** Writes an image of Python that has loaded, and waits for its line. */
async function saveReady(imports: string, image: string): Promise<void> {
  const ready = Promise.withResolvers<void>();
  const script = new ScriptConsole({ stdout: () => ready.resolve() });
  await using vm = await Vm.create({
    program: PYTHON,
    args: ["-c", waiting(imports)],
    console: script,
  });
  vm.run().catch(ready.reject);
  await ready.promise;
  await vm.save(image);
}

async function measure(
  context: Context,
  name: string,
  imports: string,
): Promise<Row[]> {
  const image = `${context.folder}/python.img`;
  await saveReady(imports, image);
  const vm = ["run", "-A", "--config", CONFIG, CLI, "restore", image];
  const code = `${imports}\nprint(input(), flush=True)`;
  const rounds = context.quick ? 2 : 9;
  const { process, ...samples } = await interleave(rounds, {
    ours: () => thaw(image),
    process: () => firstOutput(Deno.execPath(), vm, ANSWER),
    native: () => firstOutput(PYTHON, ["-c", code], ANSWER),
  });
  const title = `python3 with ${name}, thawed, to its first output`;
  const row = { quantity: "time", against: "native" } as const;
  const { native } = samples;
  return [
    { ...row, title, samples, aim: 1 },
    {
      ...row,
      title: `${title}, as a process`,
      samples: { ours: process, native },
    },
  ];
}

/** Python, started and thawed. */
export const warmStart: Benchmark = {
  name: "warm",
  needsKvm: true,
  guests: [],
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const [name, imports] of Object.entries(IMPORTS)) {
      rows.push(...await measure(context, name, imports));
    }
    return rows;
  },
};
