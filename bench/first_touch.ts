/**
 * Writing to memory for the first time, one byte a page.
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

/** First touch of fresh memory. */
export const firstTouch: Benchmark = {
  name: "touch",
  needsKvm: true,
  guests: ["bench_touch"],
  async run(context: Context): Promise<Row[]> {
    const mib = context.quick ? 32 : 256;
    const program = context.guest("bench_touch");
    const args = [`${mib}`];
    const warm = (seconds: () => Promise<number>) => async () => {
      await context.warmMemory(2 * mib);
      return await seconds();
    };
    const samples = await interleave(context.quick ? 2 : 9, {
      ours: warm(() => guestSeconds(program, { args })),
      c: warm(async () => (await context.runC("first_touch", mib))[0] / 1e9),
      native: warm(() => nativeSeconds(program, args)),
    });
    return [{
      title: `first touch of ${mib} MiB`,
      quantity: "time",
      samples,
      against: "c",
    }];
  },
};
