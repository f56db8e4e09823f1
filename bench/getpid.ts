/**
 * What one system call costs that has nothing to do.
 *
 * @module
 */

import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
} from "./benchmark.ts";
import { guestSeconds, nativeSeconds } from "./guest_run.ts";
import { spreadOf } from "./statistics.ts";
import { formatQuantity } from "./table.ts";

/** A getpid round trip. */
export const getpid: Benchmark = {
  name: "getpid",
  needsKvm: true,
  guests: ["bench_getpid"],
  async run(context: Context): Promise<Row[]> {
    const count = context.quick ? 2000 : 10_000;
    const nativeCount = 1_000_000;
    const program = context.guest("bench_getpid");
    // The run loop is optimized when it has run for a while.
    await guestSeconds(program, { args: [`${4 * count}`] });
    const samples = await interleave(context.quick ? 3 : 15, {
      ours: async () =>
        await guestSeconds(program, { args: [`${count}`] }) / count,
      c: async () => (await context.runC("getpid", count))[0] / 1e9 / count,
      native: async () =>
        await nativeSeconds(program, [`${nativeCount}`]) / nativeCount,
    });
    const more = spreadOf(samples.ours.map((s, i) => s - samples.c[i])).median;
    return [{
      title: "getpid round trip",
      quantity: "time",
      samples,
      against: "c",
      notes: [
        `${
          formatQuantity("time", Math.max(more, 0))
        } a call is ScratchVM's own; the rest is the exit and the way back in`,
      ],
    }];
  },
};
