/**
 * How much memory a save and a restore take beside the VM's own.
 *
 * @module
 */

import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
} from "./benchmark.ts";
import { runCommand } from "./c_programs.ts";
import { spreadOf } from "./statistics.ts";
import { sizesMib } from "./written_vm.ts";

const PROCESS = new URL("peak_process.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

async function bytesOf(what: string, ...args: string[]): Promise<number> {
  const { stdout } = await runCommand(Deno.execPath(), [
    ...["run", "-A", "--config", CONFIG, PROCESS, what, ...args],
  ]);
  return Number(stdout);
}

/** How an image is made and read, by the words of peak_process.ts. */
interface Both {
  out(mib: number, image: string): Promise<number>;
  back(mib: number, image: string): Promise<number>;
  /** What the table calls them. */
  readonly names: readonly [out: string, back: string];
}

/** A row for each size and each way. */
async function measure(context: Context, both: Both): Promise<Row[]> {
  const image = `${context.folder}/peak.img`;
  const outs: Row[] = [];
  const backs: Row[] = [];
  const row = (title: string, bytes: number[], first?: Row): Row => {
    const notes = [];
    if (first) {
      const smallest = spreadOf(first.samples.ours!).median;
      const times = (spreadOf(bytes).median / smallest).toFixed(2);
      notes.push(`${times} x that of the smallest (aim: the same)`);
    }
    return { title, quantity: "size", samples: { ours: bytes }, notes };
  };
  const wanted = context.quick ? [16, 64] : [64, 2048];
  for (const mib of await sizesMib(context, wanted)) {
    // Whichever comes first: there is an image to read.
    await both.out(mib, image);
    const { out, back } = await interleave(context.quick ? 1 : 3, {
      out: () => both.out(mib, image),
      back: () => both.back(mib, image),
    });
    const title = (name: string) => `peak memory of ${name} ${mib} MiB`;
    outs.push(row(title(both.names[0]), out, outs[0]));
    backs.push(row(title(both.names[1]), back, backs[0]));
    Deno.removeSync(image);
  }
  return [...outs, ...backs];
}

/** Saving a VM to a stream through zstd, and restoring from one. */
export const peak: Benchmark = {
  name: "peak",
  needsKvm: true,
  guests: ["bench_written"],
  run(context: Context): Promise<Row[]> {
    const program = context.guest("bench_written");
    return measure(context, {
      names: ["saving, through zstd,", "restoring, through zstd,"],
      out: (mib, image) => bytesOf("save", program, `${mib}`, image),
      back: (mib, image) => bytesOf("restore", image, `${mib}`),
    });
  },
};

/** The same of memory without a VM around it. Needs no KVM. */
export const peakWithout: Benchmark = {
  name: "buffers",
  needsKvm: false,
  guests: [],
  run(context: Context): Promise<Row[]> {
    return measure(context, {
      names: [
        "writing, through zstd, without a VM,",
        "reading, through zstd, without a VM,",
      ],
      out: (mib, image) => bytesOf("write", `${mib}`, image),
      back: (mib, image) => bytesOf("read", image, `${mib}`),
    });
  },
};
