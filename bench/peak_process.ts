/**
 * One save or restore through zstd in a process of its own: prints how many
 * bytes of memory it took at most, beside the VM's own.
 *
 *     peak_process.ts save PROGRAM MIB IMAGE
 *     peak_process.ts restore IMAGE MIB
 *
 * The same of memory without a VM around it, which needs no KVM:
 *
 *     peak_process.ts write MIB IMAGE
 *     peak_process.ts read IMAGE MIB
 *
 * @module
 */

import { ScriptConsole, Vm, zstdCompress, zstdDecompress } from "../mod.ts";
import { readableImage } from "../src/state/mod.ts";
import { readMemory, WrittenMemory } from "./written_memory.ts";

const MIB = 1024 * 1024;

/** A field of /proc/self/status in bytes: VmRSS, VmHWM (proc(5)). */
function statusBytes(name: string): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)![1]) *
    1024;
}

/** The most memory that `work` had at once, less what there was before. */
async function peakOf(work: () => Promise<unknown>): Promise<number> {
  // proc(5): 5 makes VmHWM what VmRSS is.
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  const before = statusBytes("VmRSS");
  await work();
  return statusBytes("VmHWM") - before;
}

/** Writes an image to a file, through zstd. */
async function pack(
  image: ReadableStream<Uint8Array>,
  path: string,
): Promise<void> {
  const file = await Deno.create(path);
  await image.pipeThrough(zstdCompress()).pipeTo(file.writable);
}

/** The image in such a file. */
async function unpack(path: string): Promise<ReadableStream<Uint8Array>> {
  const file = await Deno.open(path);
  return file.readable.pipeThrough(zstdDecompress());
}

const script = new ScriptConsole();

async function save(program: string, mib: string, path: string) {
  let bytes = 0;
  await using vm = await Vm.create({
    program,
    args: [mib],
    memoryBytes: (Number(mib) + 64) * MIB,
    console: script,
    onSave: async (vm) => {
      bytes = await peakOf(() => pack(vm.save(), path));
      return "stop";
    },
  });
  await vm.run();
  return bytes;
}

async function restore(path: string, mib: string) {
  const bytes = await peakOf(async () => {
    const vm = await Vm.restore(await unpack(path), { console: script });
    await vm[Symbol.asyncDispose]();
  });
  return Math.max(0, bytes - Number(mib) * MIB);
}

async function write(mib: string, path: string) {
  using memory = new WrittenMemory(Number(mib));
  const never = new AbortController().signal;
  return await peakOf(() =>
    pack(readableImage((sink) => memory.write(sink), never), path)
  );
}

async function read(path: string, mib: string) {
  const bytes = await peakOf(async () => readMemory(await unpack(path)));
  return Math.max(0, bytes - Number(mib) * MIB);
}

const [what, a, b, c] = Deno.args;
console.log(
  what === "save"
    ? await save(a, b, c)
    : what === "restore"
    ? await restore(a, b)
    : what === "write"
    ? await write(a, b)
    : await read(a, b),
);
