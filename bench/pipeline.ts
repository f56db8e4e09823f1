/**
 * Stages of pipelines on the image of memory that packs as memory does; zstd and
 * gzip against the tools of that name. Needs no KVM.
 *
 * @module
 */

import {
  decrypt,
  encrypt,
  gunzip,
  gzip,
  openOrigin,
  type Stage,
  zstdCompress,
  zstdDecompress,
} from "../mod.ts";
import { readableImage } from "../src/state/mod.ts";
import {
  type Benchmark,
  type Context,
  interleave,
  type Row,
  secondsSince,
} from "./benchmark.ts";
import { runCommand } from "./c_programs.ts";
import { WrittenMemory } from "./written_memory.ts";

const MIB = 1024 * 1024;

/** The level of both tools and stages: that of saves, as fast as there is. */
const LEVEL = 1;

/** A stage both ways, and the tool that does the same. */
interface Subject {
  readonly name: string;
  readonly forth: () => Stage;
  readonly back: () => Stage;
  /** Its options, when it is to use one thread. */
  readonly tool?: readonly string[];
}

const KEY = new Uint8Array(32).fill(7);

const SUBJECTS: readonly Subject[] = [
  {
    name: "zstd",
    forth: () => zstdCompress({ level: LEVEL }),
    back: () => zstdDecompress(),
    tool: ["--single-thread"],
  },
  {
    name: "gzip",
    forth: () => gzip({ level: LEVEL }),
    back: () => gunzip(),
    tool: [],
  },
  {
    name: "encrypt",
    forth: () => encrypt({ key: KEY }),
    back: () => decrypt({ key: KEY }),
  },
];

/** Whether a tool is installed. */
async function hasTool(name: string): Promise<boolean> {
  try {
    await runCommand(name, ["--version"]);
    return true;
  } catch {
    return false;
  }
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return secondsSince(started);
}

async function measure(
  { folder, quick }: Context,
  memory: WrittenMemory,
  mib: number,
  { name, forth, back, tool }: Subject,
): Promise<Row[]> {
  const plain = `${folder}/pipeline.img`;
  const packed = `${folder}/pipeline.${name === "gzip" ? "gz" : name}`;
  const image = () => readableImage((sink) => memory.write(sink));
  await image().pipeTo((await Deno.create(plain)).writable);
  await image().pipeThrough(forth()).pipeTo(
    (await Deno.create(packed)).writable,
  );
  const speed = async (time: Promise<number>) => mib * MIB / await time;
  const ours = () =>
    speed(
      seconds(() => image().pipeThrough(forth()).pipeTo(new WritableStream())),
    );
  const oursBack = () =>
    speed(seconds(async () => {
      await using origin = await openOrigin(packed);
      await origin.readable.pipeThrough(back()).pipeTo(new WritableStream());
    }));
  const isCompared = tool !== undefined && await hasTool(name);
  // To standard output, which is thrown away: gzip knows no other way.
  const native = (...args: string[]) => () =>
    speed(seconds(async () => {
      const { success } = await new Deno.Command(name, {
        args,
        stdin: "null",
        stdout: "null",
        stderr: "inherit",
      }).output();
      if (!success) throw new Error(`${name} ${args.join(" ")} failed`);
    }));
  const rounds = quick ? 2 : 7;
  const notes = tool && !isCompared
    ? [`the tool ${name} is not installed`]
    : [];
  const row = { quantity: "speed", against: "native", notes } as const;
  const samples = isCompared
    ? await interleave(rounds, {
      ours,
      native: native("-q", "-c", `-${LEVEL}`, ...tool, plain),
    })
    : await interleave(rounds, { ours });
  const samplesBack = isCompared
    ? await interleave(rounds, {
      ours: oursBack,
      native: native("-q", "-d", "-c", packed),
    })
    : await interleave(rounds, { ours: oursBack });
  Deno.removeSync(plain);
  Deno.removeSync(packed);
  return [
    { ...row, title: `${name} of ${mib} MiB in a pipeline`, samples },
    {
      ...row,
      title: `${name} back to ${mib} MiB in a pipeline`,
      samples: samplesBack,
    },
  ];
}

/** Packing, encrypting, and back. */
export const pipeline: Benchmark = {
  name: "pipeline",
  needsKvm: false,
  guests: [],
  async run(context: Context): Promise<Row[]> {
    const mib = context.quick ? 16 : 256;
    using memory = new WrittenMemory(mib, "packable");
    const rows: Row[] = [];
    for (const subject of SUBJECTS) {
      rows.push(...await measure(context, memory, mib, subject));
    }
    return rows;
  },
};
