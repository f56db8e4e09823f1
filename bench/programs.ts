/**
 * Programs that people have, from their start to their end, against the same
 * programs run natively.
 *
 * @module
 */

import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { runCommand } from "./c_programs.ts";
import { runGuest } from "./guest_run.ts";
import { spreadOf } from "./statistics.ts";
import { formatQuantity } from "./table.ts";

/** The golden ratio times 2^32, for lines in no order. */
const STEP = 0x9e3779b9;

/** Memory of the VM, MiB: sort asks how much there is, and uses half of it. */
const MEMORY_MIB = 1024;

/** A program to run. */
interface Program {
  /** What it does. */
  readonly title: string;
  /** Its path or name, and arguments; it runs in the folder of the files. */
  readonly argv: readonly string[];
  /** What it leaves there, to be removed before the next run. */
  readonly leaves?: string;
}

function programs(
  context: Context,
  megabytes: number,
  rows: number,
): Program[] {
  return [
    {
      title: `sqlite3: insert ${rows} rows into a database on disk`,
      argv: ["sqlite3", "rows.db", ".read rows.sql"],
      leaves: "rows.db",
    },
    {
      title: `sort ${megabytes} MB of lines`,
      argv: ["sort", "-o", "sorted", "lines"],
      leaves: "sorted",
    },
    {
      title: `gzip ${megabytes} MB of lines`,
      argv: ["gzip", "-k", "lines"],
      leaves: "lines.gz",
    },
    {
      title: "4 threads that compute and take a lock",
      argv: [
        context.guest("bench_threads"),
        "4",
        context.quick ? "200" : "20000",
      ],
    },
  ];
}

/** Numbers in no order, a line each. */
function writeLines(path: string, megabytes: number): void {
  using file = Deno.openSync(path, { create: true, write: true });
  const encoder = new TextEncoder();
  let number = 0;
  for (let written = 0; written < megabytes * 1e6;) {
    const lines: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      const random = Math.imul(++number, STEP) >>> 0;
      lines.push(`${random} line ${number} ${random % 97}\n`);
    }
    written += file.writeSync(encoder.encode(lines.join("")));
  }
}

function writeRows(path: string, rows: number): void {
  const lines = ["CREATE TABLE t (a INTEGER, b TEXT);", "BEGIN;"];
  for (let i = 0; i < rows; i++) {
    lines.push(
      `INSERT INTO t VALUES (${i}, 'row ${Math.imul(i, STEP) >>> 0}');`,
    );
  }
  Deno.writeTextFileSync(path, [...lines, "COMMIT;", ""].join("\n"));
}

/** Whether it is there to be run. */
function isInstalled(name: string): boolean {
  if (name.startsWith("/")) return true;
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}

async function measure(
  context: Context,
  folder: string,
  { title, argv, leaves }: Program,
): Promise<Row> {
  const [program, ...args] = argv;
  let exits = 0;
  const timed = async (run: () => Promise<unknown>) => {
    const started = performance.now();
    await run();
    const seconds = secondsSince(started);
    if (leaves) Deno.removeSync(`${folder}/${leaves}`);
    return seconds;
  };
  const exitCount = 2000;
  const { exit, ...samples } = await interleave(context.quick ? 1 : 5, {
    ours: () =>
      timed(async () => {
        const memoryBytes = MEMORY_MIB * 1024 * 1024;
        const options = { args, folder, cwd: folder, memoryBytes };
        ({ exits } = await runGuest(program, options));
      }),
    native: () => timed(() => runCommand(program, args, folder)),
    /** What a system call costs a VMM in C, in the same round. */
    exit: async () =>
      (await context.runC("getpid", exitCount))[0] / 1e9 / exitCount,
  });
  const time = (seconds: number) => formatQuantity("time", seconds);
  const native = spreadOf(samples.native).median;
  const leaving = spreadOf(exit).median * exits;
  const rest = spreadOf(
    samples.ours.map((all, i) => all - samples.native[i] - exit[i] * exits),
  ).median;
  return {
    title,
    quantity: "time",
    samples,
    against: "native",
    notes: [
      `${time(native)} as natively + ${time(leaving)} for ${exits} exits + ${
        rest > 0 ? time(rest) : "nothing"
      } else`,
    ],
  };
}

/** Programs, from start to end. */
export const programsWhole: Benchmark = {
  name: "programs",
  needsKvm: true,
  guests: ["bench_threads"],
  async run(context: Context): Promise<Row[]> {
    const folder = `${context.folder}/programs`;
    Deno.mkdirSync(folder);
    const megabytes = context.quick ? 1 : 100;
    const rowCount = context.quick ? 1000 : 100_000;
    writeLines(`${folder}/lines`, megabytes);
    writeRows(`${folder}/rows.sql`, rowCount);
    const rows: Row[] = [];
    for (const program of programs(context, megabytes, rowCount)) {
      const [name] = program.argv;
      if (isInstalled(name)) {
        rows.push(await measure(context, folder, program));
      } else console.error(`${program.title} left out: no ${name} here`);
    }
    return rows;
  },
};
