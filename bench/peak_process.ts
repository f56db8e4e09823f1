/**
 * One save or restore through zstd in a process of its own: prints how many
 * bytes of memory it took at most, beside the VM's own.
 *
 *     peak_process.ts save PROGRAM MIB IMAGE
 *     peak_process.ts restore IMAGE MIB
 *
 * @module
 */

import { ScriptConsole, Vm, zstdCompress, zstdDecompress } from "../mod.ts";

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

const [what, ...args] = Deno.args;
const script = new ScriptConsole();
if (what === "save") {
  const [program, mib, image] = args;
  await using vm = await Vm.create({
    program,
    args: [mib],
    memoryBytes: (Number(mib) + 64) * MIB,
    console: script,
    onSave: async (vm) => {
      console.log(
        await peakOf(async () => {
          const file = await Deno.create(image);
          await vm.save().pipeThrough(zstdCompress()).pipeTo(file.writable);
        }),
      );
      return "stop";
    },
  });
  await vm.run();
} else {
  const [image, mib] = args;
  const bytes = await peakOf(async () => {
    const file = await Deno.open(image);
    const plain = file.readable.pipeThrough(zstdDecompress());
    const vm = await Vm.restore(plain, { console: script });
    await vm[Symbol.asyncDispose]();
  });
  console.log(Math.max(0, bytes - Number(mib) * MIB));
}
