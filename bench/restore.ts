/**
 * Restoring a VM from a file that is in the host's cache: to the program's
 * first output, and until the program has read all of its memory.
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
import { spreadOf } from "./statistics.ts";
import { formatQuantity } from "./table.ts";
import { sizesMib, withWrittenVm } from "./written_vm.ts";

const MIB = 1024 * 1024;
const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** When things happened, seconds since the start. */
interface Moments {
  readonly first: number;
  readonly all: number;
}

/** Restores in this process. */
async function ours(image: string): Promise<Moments> {
  const started = performance.now();
  let first = NaN;
  let all = NaN;
  let stdout = "";
  const decoder = new TextDecoder();
  const script = new ScriptConsole({
    stdout: (bytes) => {
      const seconds = secondsSince(started);
      if (Number.isNaN(first)) first = seconds;
      else if (Number.isNaN(all)) all = seconds;
      stdout += decoder.decode(bytes);
    },
  });
  await using vm = await Vm.restore(image, { console: script });
  await vm.run();
  if (stdout !== "ready\n0 wrong\n") {
    throw new Error(`The restored program found its memory changed: ${stdout}`);
  }
  return { first, all };
}

/** Restores in C, the memory mapped or read. */
async function inC(
  context: Context,
  file: string,
  how: "map" | "read",
): Promise<Moments> {
  const [first, all] = await context.runC("restore", file, how);
  return { first: first / 1e9, all: all / 1e9 };
}

async function measure(context: Context, mib: number): Promise<Row[]> {
  const image = `${context.folder}/restore.img`;
  const plain = `${context.folder}/restore.bin`;
  await withWrittenVm(context, mib, async (vm) => void await vm.save(image));
  await context.runC("save", plain, mib);

  const moments: Record<"ours" | "map" | "read", Moments[]> = {
    ours: [],
    map: [],
    read: [],
  };
  const keep =
    (name: keyof typeof moments, get: () => Promise<Moments>) => async () => {
      if (name === "read") await context.warmMemory(mib);
      const found = await get();
      moments[name].push(found);
      return found.first;
    };
  const first = await interleave(context.quick ? 2 : mib >= 1024 ? 5 : 9, {
    ours: keep("ours", () => ours(image)),
    map: keep("map", () => inC(context, plain, "map")),
    read: keep("read", () => inC(context, plain, "read")),
  });
  // The first of each is the one that warmed up.
  const speed = (name: keyof typeof moments) =>
    moments[name].slice(1).map(({ all }) => mib * MIB / all);
  const whole = await interleave(context.quick ? 2 : 9, {
    ours: () =>
      firstOutput(
        Deno.execPath(),
        ["run", "-A", "--config", CONFIG, CLI, "restore", image],
      ),
    c: () => firstOutput(context.pathC("restore"), [plain, "map"]),
  });
  Deno.removeSync(image);
  Deno.removeSync(plain);
  const readFirst = formatQuantity("time", spreadOf(first.read).median);
  const readSpeed = formatQuantity("speed", spreadOf(speed("read")).median);
  return [
    {
      title: `restore ${mib} MiB, to the first output`,
      quantity: "time",
      samples: { ours: first.ours, c: first.map },
      against: "c",
      notes: [
        `C maps the file; C that reads it into memory takes ${readFirst}`,
      ],
    },
    {
      title: `restore ${mib} MiB, until all of it was read`,
      quantity: "speed",
      samples: { ours: speed("ours"), c: speed("map") },
      against: "c",
      notes: [
        `C maps the file; C that reads it into memory has ${readSpeed}`,
      ],
    },
    {
      title: `restore ${mib} MiB as a process, to the first output`,
      quantity: "time",
      samples: whole,
      against: "c",
    },
  ];
}

/** Adds by how much a larger image takes longer to restore. */
function comparedWithSmallest(row: Row, index: number, rows: Row[]): Row {
  if (index === 0) return row;
  const median = ({ samples }: Row) => spreadOf(samples.ours ?? []).median;
  const times = (median(row) / median(rows[0])).toFixed(2);
  const note = `${times} x the time of the smallest (aim: the same for all)`;
  return { ...row, notes: [...row.notes ?? [], note] };
}

/** Restoring. */
export const restore: Benchmark = {
  name: "restore",
  needsKvm: true,
  guests: ["bench_written"],
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const mib of await sizesMib(context)) {
      rows.push(...await measure(context, mib));
    }
    // By what is measured, so that the sizes are below each other.
    const kinds = [0, 1, 2].map((kind) =>
      rows.filter((_, i) => i % 3 === kind)
    );
    return [...kinds[0].map(comparedWithSmallest), ...kinds[1], ...kinds[2]];
  },
};
