/**
 * Writing and reading a file through the guest, by the size of a call.
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
import { spreadOf } from "./statistics.ts";
import { formatQuantity } from "./table.ts";

const MIB = 1024 * 1024;
const CALL_BYTES = [4096, 64 * 1024, MIB];

/** Fills a file, and leaves it in the host's cache. */
function makeFile(path: string, mib: number): void {
  const piece = new Uint8Array(MIB).fill(0x78);
  using file = Deno.openSync(path, { create: true, write: true });
  for (let i = 0; i < mib; i++) file.writeSync(piece);
}

async function measure(
  context: Context,
  mode: "write" | "read",
  mib: number,
  callBytes: number,
): Promise<Row> {
  const program = context.guest("bench_io");
  const path = `${context.folder}/io.bin`;
  const args = [mode, path, `${mib}`, `${callBytes}`];
  const folder = context.folder;
  /** A new file for each write; the bytes of one that is gone stay nowhere. */
  const each = (seconds: () => Promise<number>) => async () => {
    if (mode === "write") await context.warmMemory(mib);
    const taken = await seconds();
    if (mode === "write") Deno.removeSync(path);
    return mib * MIB / taken;
  };
  if (mode === "read") makeFile(path, mib);
  const rounds = context.quick ? 2 : callBytes === 4096 ? 5 : 9;
  const exitCount = 2000;
  const { exit, ...samples } = await interleave(rounds, {
    ours: each(() => guestSeconds(program, { args, folder })),
    native: each(() => nativeSeconds(program, args)),
    /** What a system call costs a VMM in C, in the same round. */
    exit: async () =>
      (await context.runC("getpid", exitCount))[0] / 1e9 / exitCount,
  });
  if (mode === "read") Deno.removeSync(path);

  const bytes = mib * MIB;
  const calls = bytes / callBytes;
  const time = (seconds: number) => formatQuantity("time", seconds);
  const nativeTime = spreadOf(samples.native.map((v) => bytes / v)).median;
  const exits = spreadOf(exit).median * calls;
  // Round by round, as the machine may change between two of them.
  const rest = spreadOf(
    samples.ours.map((speed, i) =>
      bytes / speed - bytes / samples.native[i] - exit[i] * calls
    ),
  ).median;
  const size = callBytes >= MIB ? "1 MiB" : `${callBytes / 1024} KiB`;
  return {
    title: `${mode} ${mib} MiB in calls of ${size}`,
    quantity: "speed",
    samples,
    against: "native",
    aim: callBytes === MIB ? 0.8 : undefined,
    notes: [
      `${time(nativeTime)} as natively + ${time(exits)} for ${calls} exits + ${
        rest > 0 ? time(rest) : "nothing"
      } else; exits alone would allow a ratio of ${
        (nativeTime / (nativeTime + exits)).toFixed(2)
      }`,
    ],
  };
}

/** Writing and reading through the guest. */
export const io: Benchmark = {
  name: "io",
  needsKvm: true,
  guests: ["bench_io"],
  async run(context: Context): Promise<Row[]> {
    const mib = context.quick ? 16 : 256;
    const rows: Row[] = [];
    for (const mode of ["write", "read"] as const) {
      for (const callBytes of CALL_BYTES) {
        rows.push(await measure(context, mode, mib, callBytes));
      }
    }
    return rows;
  },
};
