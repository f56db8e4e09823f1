/**
 * Moving a VM over TCP on this machine.
 *
 * @module
 */

import { migrate as move } from "../mod.ts";
import {
  type Benchmark,
  type Context,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { ListeningProcess } from "./listening_process.ts";
import { besideQemu } from "./qemu.ts";
import { eachSize, withWrittenVm } from "./written_vm.ts";

const MIB = 1024 * 1024;
const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;

async function measure(context: Context, mib: number): Promise<Row> {
  await using receiver = await ListeningProcess.start(CLI, [
    ...["receive", "--forever", "tcp://127.0.0.1:0"],
  ]);
  const ours = async () => {
    let seconds = 0;
    await withWrittenVm(context, mib, async (vm) => {
      // What the destination is about to use.
      await context.warmMemory(mib);
      const started = performance.now();
      await move(vm, receiver.url);
      seconds = secondsSince(started);
    });
    return mib * MIB / seconds;
  };
  const rounds = context.quick ? 2 : mib >= 1024 ? 5 : 9;
  return {
    title: `move a VM with ${mib} MiB of written memory over TCP`,
    quantity: "speed",
    against: "c",
    aim: 0.8,
    ...await besideQemu(context, { mib, rounds }, ours),
  };
}

/** Moving. */
export const migrate: Benchmark = {
  name: "migrate",
  needsKvm: true,
  guests: ["bench_written"],
  run: (context) => eachSize(context, measure),
};
