/**
 * Saving a VM to a file, durably.
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
import { eachSize, withWrittenVm } from "./written_vm.ts";

const MIB = 1024 * 1024;

async function measure(context: Context, mib: number): Promise<Row> {
  const path = `${context.folder}/save.img`;
  const plain = `${context.folder}/save.bin`;
  let samples: Record<"ours" | "c", number[]> = { ours: [], c: [] };
  await withWrittenVm(context, mib, async (vm) => {
    const rounds = context.quick ? 2 : mib >= 1024 ? 5 : 9;
    samples = await interleave(rounds, {
      ours: async () => {
        await context.warmMemory(mib);
        const started = performance.now();
        const { totalBytes } = await vm.save(path);
        const seconds = secondsSince(started);
        Deno.removeSync(path);
        return totalBytes / seconds;
      },
      c: async () => {
        // Twice: the program's own memory, and the cache of its file.
        await context.warmMemory(2 * mib);
        const [ns] = await context.runC("save", plain, mib);
        Deno.removeSync(plain);
        return mib * MIB / (ns / 1e9);
      },
    });
  });
  return {
    title: `save ${mib} MiB of written memory`,
    quantity: "speed",
    samples,
    against: "c",
  };
}

/** Saving. */
export const save: Benchmark = {
  name: "save",
  needsKvm: true,
  guests: ["bench_written"],
  run: (context) => eachSize(context, measure),
};
