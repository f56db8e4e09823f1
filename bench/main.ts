/**
 * Measures ScratchVM side by side with C programs that do the same.
 *
 * `deno task bench [--quick] [--json] [NAMES…]`
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { buildGuest } from "../guest/build.ts";
import { Kvm } from "../src/kvm/mod.ts";
import type { Benchmark, Context } from "./benchmark.ts";
import { buildC, numbersOf, runCommand } from "./c_programs.ts";
import { clock } from "./clock.ts";
import { compute } from "./compute.ts";
import { create } from "./create.ts";
import { exitCost } from "./exit_cost.ts";
import { firstTouch } from "./first_touch.ts";
import { getpid } from "./getpid.ts";
import { idle } from "./idle.ts";
import { idleImage } from "./idle_image.ts";
import { io } from "./io.ts";
import { describeMachine, machineInfo } from "./machine_info.ts";
import { migrate } from "./migrate.ts";
import { peak, peakWithout } from "./peak.ts";
import { pipeline } from "./pipeline.ts";
import { programsWhole } from "./programs.ts";
import { restore } from "./restore.ts";
import { save } from "./save.ts";
import { type Result, summarize } from "./statistics.ts";
import { formatTable } from "./table.ts";
import { transfer } from "./transfer.ts";
import { warmStart } from "./warm_start.ts";

const BENCHMARKS: readonly Benchmark[] = [
  exitCost,
  getpid,
  clock,
  compute,
  firstTouch,
  io,
  create,
  save,
  restore,
  migrate,
  transfer,
  pipeline,
  peak,
  peakWithout,
  programsWhole,
  warmStart,
  idle,
  idleImage,
];

const NAMES = BENCHMARKS.map(({ name }) => name);

const HELP = `Usage: deno task bench [--quick] [--json] [NAMES...]

Measures ScratchVM side by side with C programs that do the same.

Names: ${NAMES.join(" ")} (default: all)
Without KVM: ${
  BENCHMARKS.filter(({ needsKvm }) => !needsKvm).map(({ name }) => name)
    .join(" ")
}

  --quick  few rounds and small sizes: shows that everything works
  --json   prints every sample as JSON
  --help   shows this`;

/** Exit statuses, as of the command line. */
const STATUS = { ok: 0, failure: 1, usage: 2 } as const;

async function measure(
  chosen: readonly Benchmark[],
  context: Context,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const benchmark of chosen) {
    const started = performance.now();
    const rows = await benchmark.run(context);
    results.push(...rows.map(summarize));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.error(`${benchmark.name}: ${seconds} s`);
  }
  return results;
}

async function makeContext(
  chosen: readonly Benchmark[],
  folder: string,
  quick: boolean,
): Promise<Context> {
  await buildC(folder);
  const wanted = new Set(chosen.flatMap(({ guests }) => guests));
  const guests = wanted.size > 0 ? await buildGuest([...wanted]) : new Map();
  const pathC = (name: string) => `${folder}/${name}`;
  const runC = async (name: string, ...args: (string | number)[]) =>
    numbersOf((await runCommand(pathC(name), args.map(String))).stdout);
  return {
    quick,
    folder,
    runC,
    pathC,
    guest: (name) => guests.get(name)!,
    warmMemory: async (mib) => void await runC("touch_memory", mib),
  };
}

/**
 * The measurements of these names; without names all, or where there is no KVM
 * those that need none.
 *
 * @throws {KvmError} when one that was named needs KVM and there is none
 */
function choose(names: readonly string[]): readonly Benchmark[] {
  const chosen = names.length === 0
    ? BENCHMARKS
    : BENCHMARKS.filter(({ name }) => names.includes(name));
  if (!chosen.some(({ needsKvm }) => needsKvm)) return chosen;
  try {
    Kvm.open()[Symbol.dispose]();
    return chosen;
  } catch (error) {
    if (names.length > 0) throw error;
    const left = chosen.filter(({ needsKvm }) => needsKvm);
    const why = error instanceof Error ? error.message : error;
    console.error(`left out ${left.map(({ name }) => name).join(" ")}: ${why}`);
    return chosen.filter(({ needsKvm }) => !needsKvm);
  }
}

async function main(args: string[]): Promise<number> {
  const options = ["quick", "json", "help"];
  const parsed = parseArgs(args, { boolean: options });
  const unknown = [
    ...Object.keys(parsed).filter((name) =>
      name !== "_" && !options.includes(name)
    ).map((name) => `option --${name}`),
    ...parsed._.map(String).filter((name) => !NAMES.includes(name)).map(
      (name) => `measurement "${name}"`,
    ),
  ];
  if (unknown.length > 0) {
    console.error(`bench: there is no ${unknown[0]}\n\n${HELP}`);
    return STATUS.usage;
  }
  if (parsed.help) {
    console.log(HELP);
    return STATUS.ok;
  }
  const chosen = choose(parsed._.map(String));
  const folder = Deno.realPathSync(
    await Deno.makeTempDir({ prefix: "scratchvm-bench-" }),
  );
  const remove = () => Deno.removeSync(folder, { recursive: true });
  const interrupted = () => {
    remove();
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", interrupted);
  Deno.addSignalListener("SIGTERM", interrupted);
  try {
    const machine = machineInfo(folder);
    const context = await makeContext(chosen, folder, parsed.quick === true);
    const results = await measure(chosen, context);
    if (parsed.json) {
      console.log(JSON.stringify({ machine, results }, null, 2));
    } else {
      const lines = [...describeMachine(machine), "", ...formatTable(results)];
      console.log(lines.join("\n"));
    }
    return STATUS.ok;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupted);
    Deno.removeSignalListener("SIGTERM", interrupted);
    remove();
  }
}

if (import.meta.main) {
  let status: number;
  try {
    status = await main(Deno.args);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    const hint = (error as { hint?: string }).hint;
    if (hint) console.error(`hint: ${hint}`);
    status = STATUS.failure;
  }
  Deno.exit(status);
}
