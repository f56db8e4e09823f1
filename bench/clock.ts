/**
 * What it costs a program to ask for the time.
 *
 * @module
 */

import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
} from "./benchmark.ts";
import { numbersOf } from "./c_programs.ts";
import { nativeSeconds, runGuest } from "./guest_run.ts";

/** clock_gettime through the C library. */
export const clock: Benchmark = {
  name: "clock",
  needsKvm: true,
  guests: ["bench_clock"],
  async run(context: Context): Promise<Row[]> {
    const program = context.guest("bench_clock");
    // Where calls leave, as many as natively would take minutes.
    const probe = 2000;
    const { exits } = await runGuest(program, { args: [`${probe}`] });
    const leaves = exits >= probe;
    const nativeCount = context.quick ? 1_000_000 : 20_000_000;
    const count = leaves ? 10_000 : nativeCount;
    const callsC = 2000;
    let left = 0;
    const samples = await interleave(context.quick ? 3 : 15, {
      ours: async () => {
        const ran = await runGuest(program, { args: [`${count}`] });
        left = ran.exits;
        return numbersOf(ran.stdout)[0] / 1e9 / count;
      },
      c: async () => (await context.runC("getpid", callsC))[0] / 1e9 / callsC,
      native: async () =>
        await nativeSeconds(program, [`${nativeCount}`]) / nativeCount,
    });
    return [{
      title: "clock_gettime",
      quantity: "time",
      samples,
      against: "native",
      notes: [`the program left the VM ${left} times for ${count} calls`],
    }];
  },
};
