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

/** Saving to a stream through zstd, and restoring from one. */
export const peak: Benchmark = {
  name: "peak",
  needsKvm: true,
  guests: ["bench_written"],
  async run(context: Context): Promise<Row[]> {
    const program = context.guest("bench_written");
    const image = `${context.folder}/peak.img`;
    const saves: Row[] = [];
    const restores: Row[] = [];
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
      // Whichever comes first: there is an image to restore.
      await bytesOf("save", program, `${mib}`, image);
      const { save, restore } = await interleave(context.quick ? 1 : 3, {
        save: () => bytesOf("save", program, `${mib}`, image),
        restore: () => bytesOf("restore", image, `${mib}`),
      });
      saves.push(
        row(`peak memory of saving ${mib} MiB through zstd`, save, saves[0]),
      );
      restores.push(
        row(
          `peak memory of restoring ${mib} MiB through zstd`,
          restore,
          restores[0],
        ),
      );
      Deno.removeSync(image);
    }
    return [...saves, ...restores];
  },
};
