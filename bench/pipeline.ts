/**
 * The zstd stage against the zstd tool, on memory that packs as memory does.
 *
 * @module
 */

import { count, zstdCompress, zstdDecompress } from "../mod.ts";
import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { runCommand } from "./c_programs.ts";

const MIB = 1024 * 1024;

/** The level that saves use, as fast as there is. */
const LEVEL = 1;

/** Bytes of which about a third is left. */
function fill(bytes: Uint8Array): void {
  let state = 1;
  for (let i = 0; i < bytes.length; i++) {
    state = Math.imul(state, 1103515245) + 12345 >>> 0;
    // Runs of pointers and small numbers, with noise between.
    bytes[i] = i % 16 < 11 ? i >> 10 & 0xff : state >>> 24;
  }
}

async function throughput(
  path: string,
  stage: ReadableWritablePair<Uint8Array, Uint8Array>,
): Promise<number> {
  const counted = count();
  using file = await Deno.open(path);
  const started = performance.now();
  await file.readable.pipeThrough(stage).pipeThrough(counted)
    .pipeTo(new WritableStream());
  return secondsSince(started);
}

async function hasZstd(): Promise<boolean> {
  try {
    await runCommand("zstd", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

/** Packing and unpacking. */
export const pipeline: Benchmark = {
  name: "pipeline",
  guests: [],
  async run({ folder, quick }: Context): Promise<Row[]> {
    const mib = quick ? 16 : 256;
    const plain = `${folder}/pipeline.bin`;
    const packed = `${folder}/pipeline.zst`;
    const piece = new Uint8Array(MIB);
    fill(piece);
    {
      using file = await Deno.create(plain);
      for (let i = 0; i < mib; i++) {
        // So that no piece is that before it.
        piece[i % 4096] ^= i;
        file.writeSync(piece);
      }
    }
    const speed = async (seconds: Promise<number>) => mib * MIB / await seconds;
    const tool = await hasZstd();
    const native = (args: string[]) => async () => {
      const { seconds } = await runCommand("zstd", args);
      return mib * MIB / seconds;
    };
    const ours = () => speed(throughput(plain, zstdCompress({ level: LEVEL })));
    const rounds = quick ? 2 : 7;
    const notes = tool ? [] : ["the zstd tool is not installed"];
    const packing = tool
      ? await interleave(rounds, {
        ours,
        native: native(["-q", "-f", `-${LEVEL}`, "--single-thread"].concat([
          plain,
          "-o",
          "/dev/null",
        ])),
      })
      : await interleave(rounds, { ours });
    {
      using from = await Deno.open(plain);
      const to = await Deno.create(packed);
      await from.readable.pipeThrough(zstdCompress({ level: LEVEL }))
        .pipeTo(to.writable);
    }
    const back = () => speed(throughput(packed, zstdDecompress()));
    const unpacking = tool
      ? await interleave(rounds, {
        ours: back,
        native: native(["-q", "-f", "-d", packed, "-o", "/dev/null"]),
      })
      : await interleave(rounds, { ours: back });
    const row = { quantity: "speed", against: "native", notes } as const;
    return [
      { ...row, title: `zstd of ${mib} MiB in a pipeline`, samples: packing },
      {
        ...row,
        title: `zstd back to ${mib} MiB in a pipeline`,
        samples: unpacking,
      },
    ];
  },
};
