/**
 * How fast the guest computes while it needs nothing of the VMM.
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

/** Compute speed at CPL3. */
export const compute: Benchmark = {
  name: "compute",
  needsKvm: true,
  guests: ["bench_compute"],
  async run(context: Context): Promise<Row[]> {
    const steps = context.quick ? 20_000_000 : 300_000_000;
    const program = context.guest("bench_compute");
    const args = [`${steps}`];
    const samples = await interleave(context.quick ? 2 : 9, {
      ours: async () => steps / await guestSeconds(program, { args }),
      native: async () => steps / await nativeSeconds(program, args),
    });
    return [{
      title: "compute at CPL3, steps",
      quantity: "rate",
      samples,
      against: "native",
      aim: 1,
    }];
  },
};
