/**
 * Moving guest memory over TCP on this machine, without a VM around it: the
 * image of it is written, sent in the frames of a move, read and checked by the
 * code that a move uses. Needs no KVM.
 *
 * @module
 */

import { FRAME } from "../src/migration/frames.ts";
import { Wire } from "../src/migration/wire.ts";
import { openConnection } from "../src/state/mod.ts";
import {
  type Benchmark,
  type Context,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { ListeningProcess } from "./listening_process.ts";
import { besideQemu } from "./qemu.ts";
import { WrittenMemory } from "./written_memory.ts";
import { eachSize } from "./written_vm.ts";

const MIB = 1024 * 1024;
const RECEIVER = new URL("receive_memory.ts", import.meta.url).pathname;

/** Sends it, and waits until the receiver has checked it. */
async function send(memory: WrittenMemory, url: string): Promise<void> {
  await using wire = new Wire(await openConnection(url));
  const { totalBytes, digest } = await wire.working(
    memory.write({ write: (chunk) => wire.sendData(chunk) }),
  );
  await wire.send(FRAME.end, { totalBytes, digest });
  await wire.receive(FRAME.prepared);
}

async function measure(context: Context, mib: number): Promise<Row> {
  await using receiver = await ListeningProcess.start(RECEIVER);
  using memory = new WrittenMemory(mib);
  const ours = async () => {
    // What the receiver is about to use.
    await context.warmMemory(mib);
    const started = performance.now();
    await send(memory, receiver.url);
    return mib * MIB / secondsSince(started);
  };
  const rounds = context.quick ? 2 : 9;
  return {
    title: `move ${mib} MiB of written memory over TCP, without a VM`,
    quantity: "speed",
    against: "c",
    aim: 0.8,
    ...await besideQemu(context, { mib, rounds }, ours),
  };
}

/** Moving memory. */
export const transfer: Benchmark = {
  name: "transfer",
  needsKvm: false,
  guests: [],
  run: (context) => eachSize(context, measure),
};
