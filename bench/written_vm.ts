/**
 * A VM whose program has written to its memory and waits in SAVE().
 *
 * @module
 */

import { ScriptConsole, Vm } from "../mod.ts";
import type { Context, Row } from "./benchmark.ts";

const MIB = 1024 * 1024;

/** How much a VM has besides what its program writes. */
const REST_MIB = 64;

/** The sizes that are measured, MiB; those that this machine has room for. */
export async function sizesMib(
  context: Context,
  wanted: readonly number[] = context.quick ? [16, 64] : [16, 256, 1024],
): Promise<number[]> {
  const { available } = Deno.systemMemoryInfo();
  const sizes = [];
  for (const mib of wanted) {
    // A VM, a C program and the host's cache of both their files.
    const neededBytes = 5 * mib * MIB;
    if (available < neededBytes) {
      console.error(`${mib} MiB left out: ${available} bytes of memory free`);
    } else if (await freeDiskBytes(context.folder) < neededBytes) {
      console.error(`${mib} MiB left out: too little room in the folder`);
    } else {
      sizes.push(mib);
    }
  }
  return sizes;
}

/** Measures each of the usual sizes that there is room for. */
export async function eachSize(
  context: Context,
  measure: (context: Context, mib: number) => Promise<Row>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mib of await sizesMib(context)) {
    rows.push(await measure(context, mib));
  }
  return rows;
}

async function freeDiskBytes(folder: string): Promise<number> {
  const { stdout } = await new Deno.Command("df", {
    args: ["--output=avail", "-B1", folder],
  }).output();
  return Number(new TextDecoder().decode(stdout).trim().split("\n")[1]);
}

/**
 * Calls `use` with a VM that holds `mib` of written memory, paused.
 *
 * @throws {Error} when the program does not get to its SAVE()
 */
export async function withWrittenVm(
  context: Context,
  mib: number,
  use: (vm: Vm) => Promise<void>,
): Promise<void> {
  if (mib > 0) await context.warmMemory(mib);
  await using vm = await Vm.create({
    program: context.guest("bench_written"),
    args: [`${mib}`],
    memoryBytes: (mib + REST_MIB) * MIB,
    console: new ScriptConsole(),
    onSave: async (vm) => {
      await use(vm);
      return "stop" as const;
    },
  });
  const end = await vm.run();
  if (end.kind !== "saved") {
    throw new Error(`The program did not save: ${JSON.stringify(end)}`);
  }
}
