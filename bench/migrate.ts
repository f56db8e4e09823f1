/**
 * Moving a VM over TCP on this machine.
 *
 * @module
 */

import { TextLineStream } from "./text_lines.ts";
import { migrate as move } from "../mod.ts";
import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { hasQemu, migrateQemu } from "./qemu.ts";
import { sizesMib, withWrittenVm } from "./written_vm.ts";

const MIB = 1024 * 1024;
const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** A process that receives VMs, as `vm receive` does. */
class ReceiverProcess implements AsyncDisposable {
  private constructor(
    readonly url: string,
    readonly child: Deno.ChildProcess,
    readonly reading: Promise<void>,
  ) {}

  static async start(): Promise<ReceiverProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--config", CONFIG, CLI],
        ...["receive", "--forever", "tcp://127.0.0.1:0"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const found = Promise.withResolvers<string>();
    const reading = (async () => {
      for await (const line of TextLineStream.of(child.stderr)) {
        const [url] = /tcp:\S+/.exec(line) ?? [];
        if (url) found.resolve(url);
        else console.error(line);
      }
      found.reject(new Error("The receiver ended before it listened"));
    })();
    return new ReceiverProcess(await found.promise, child, reading);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.status;
    await this.reading;
  }
}

async function measure(context: Context, mib: number): Promise<Row> {
  await using receiver = await ReceiverProcess.start();
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
  const c = async () => {
    await context.warmMemory(2 * mib);
    const [ns] = await context.runC("migrate", mib);
    return mib * MIB / (ns / 1e9);
  };
  const rounds = context.quick ? 2 : mib >= 1024 ? 5 : 9;
  const row = {
    title: `move a VM with ${mib} MiB of written memory over TCP`,
    quantity: "speed",
    against: "c",
    aim: 0.8,
  } as const;
  if (!await hasQemu()) {
    const notes = ["qemu-system-x86_64 is not installed"];
    return { ...row, notes, samples: await interleave(rounds, { ours, c }) };
  }
  const qemu = async () => mib * MIB / await migrateQemu(context.folder, mib);
  return { ...row, samples: await interleave(rounds, { ours, c, qemu }) };
}

/** Moving. */
export const migrate: Benchmark = {
  name: "migrate",
  guests: ["bench_written"],
  async run(context: Context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const mib of await sizesMib(context)) {
      rows.push(await measure(context, mib));
    }
    return rows;
  },
};
