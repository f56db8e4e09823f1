/**
 * What one exit costs: the guest does `out`, the VMM sees it and goes on.
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
import { PORT, RawGuest } from "./raw_guest.ts";

/** `out` to PORT.start, then `count` times to PORT.count, then to PORT.end. */
function codeFor(count: number): Uint8Array {
  // deno-fmt-ignore
  const code = new Uint8Array([
    0xe6, PORT.start, // out %al, $start
    0xbb, 0, 0, 0, 0, // mov $count, %ebx
    0xe6, PORT.count, // 1: out %al, $count
    0xff, 0xcb, //       dec %ebx
    0x75, 0xfa, //       jnz 1b
    0xe6, PORT.end, //   out %al, $end
  ]);
  new DataView(code.buffer).setUint32(3, count, true);
  return code;
}

/** Seconds for each of `count` exits. */
function ours(count: number): number {
  using guest = new RawGuest(codeFor(count));
  let started = 0;
  let exits = 0;
  for (;;) {
    const port = guest.run();
    if (port === PORT.count) exits++;
    else if (port === PORT.start) started = performance.now();
    else break;
  }
  const seconds = secondsSince(started);
  if (exits !== count) throw new Error(`The guest left ${exits} times`);
  return seconds / count;
}

/** The cost of one exit. */
export const exitCost: Benchmark = {
  name: "exit",
  needsKvm: true,
  guests: [],
  async run(context: Context): Promise<Row[]> {
    const count = context.quick ? 2000 : 10_000;
    const samples = await interleave(context.quick ? 3 : 15, {
      ours: () => ours(count),
      c: async () => (await context.runC("exit_cost", count))[0] / 1e9 / count,
    });
    return [{
      title: "one exit",
      quantity: "time",
      samples,
      against: "c",
      aim: 1.05,
    }];
  },
};
