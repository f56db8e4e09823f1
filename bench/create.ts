/**
 * From nothing to a VM's first instruction.
 *
 * @module
 */

import { Vm } from "../mod.ts";
import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { runCommand } from "./c_programs.ts";
import { PORT, RawGuest } from "./raw_guest.ts";
import { spreadOf } from "./statistics.ts";
import { formatQuantity } from "./table.ts";

const MEMORY_MIB = 1024;
const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** Through `./kvm`: the same ioctls as in C, up to the first exit. */
function throughKvm(): number {
  const started = performance.now();
  const code = new Uint8Array([0xe6, PORT.end]); // out %al, $end
  using guest = new RawGuest(code, MEMORY_MIB * 1024 * 1024);
  if (guest.run() !== PORT.end) throw new Error("The guest did not start");
  return secondsSince(started);
}

/** A whole VM with a program, up to the program's first system call. */
async function wholeVm(program: string): Promise<number> {
  const started = performance.now();
  let seconds = NaN;
  await using vm = await Vm.create({
    program,
    memoryBytes: MEMORY_MIB * 1024 * 1024,
    tracer: {
      syscall: () => {
        if (Number.isNaN(seconds)) seconds = secondsSince(started);
      },
    },
  });
  await vm.run();
  return seconds;
}

async function inProcess(context: Context): Promise<Row[]> {
  const program = context.guest("bench_first");
  const c = async () => (await context.runC("create", MEMORY_MIB, 1))[0] / 1e9;
  const rounds = context.quick ? 3 : 25;
  const raw = await interleave(rounds, { ours: throughKvm, c });
  const whole = await interleave(rounds, { ours: () => wholeVm(program), c });
  return [
    {
      title: "VM created through ./kvm, to its first exit",
      quantity: "time",
      samples: raw,
      against: "c",
    },
    {
      title: "VM with a program, to its first system call",
      quantity: "time",
      samples: whole,
      against: "c",
      notes: ["beyond what C does it reads the program and places it"],
    },
  ];
}

async function asProcess(context: Context): Promise<Row> {
  const program = context.guest("bench_first");
  const deno = Deno.execPath();
  const seconds = (command: string, ...args: string[]) => async () =>
    (await runCommand(command, args)).seconds;
  const empty = `${context.folder}/empty.js`;
  Deno.writeTextFileSync(empty, "");
  const { deno: alone, ...samples } = await interleave(context.quick ? 2 : 15, {
    ours: seconds(deno, "run", "-A", "--config", CONFIG, CLI, "run", program),
    c: seconds(context.pathC("create"), `${MEMORY_MIB}`, "1"),
    native: seconds(program),
    deno: seconds(deno, "run", "-A", "--no-config", empty),
  });
  return {
    title: "the same as a process, start to end",
    quantity: "time",
    samples,
    against: "c",
    notes: [
      `${
        formatQuantity("time", spreadOf(alone).median)
      } of it is Deno with an empty script`,
    ],
  };
}

/** Creating a VM. */
export const create: Benchmark = {
  name: "create",
  needsKvm: true,
  guests: ["bench_first"],
  async run(context: Context): Promise<Row[]> {
    return [...await inProcess(context), await asProcess(context)];
  },
};
