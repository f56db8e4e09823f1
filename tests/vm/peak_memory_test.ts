import { assert } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch } from "../support.ts";

const MIB = 1024 * 1024;
const PROCESS = new URL("../../bench/peak_process.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A small VM's memory, and a large one's. */
const SMALL_MIB = 32;
const LARGE_MIB = 512;

/**
 * How far two runs of the same may be apart, by the garbage that is left; far
 * less than what the large VM has more than the small one.
 */
const SLACK_BYTES = 96 * MIB;

/** The most bytes that a process had at once beside the VM's own memory. */
async function peakOf(...args: string[]): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--config",
      CONFIG,
      PROCESS.href,
      ...args,
    ],
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return Number(decoder.decode(stdout));
}

kvmTest(
  "a save and a restore take no more memory when the VM has more",
  async () => {
    await using scratch = new Scratch();
    const [program] = await guest("bench_written");
    const peaks = [];
    for (const mib of [SMALL_MIB, LARGE_MIB]) {
      const image = scratch.file(`${mib}.img.zst`);
      const save = await peakOf("save", program, `${mib}`, image);
      const restore = await peakOf("restore", image, `${mib}`);
      peaks.push({ save, restore });
    }
    const [small, large] = peaks;
    const text = JSON.stringify(peaks);
    assert(large.save < small.save + SLACK_BYTES, text);
    assert(large.restore < small.restore + SLACK_BYTES, text);
  },
);
