/**
 * QEMU's migration over TCP, where QEMU is installed: a VM that does not run,
 * with memory that was loaded from a file.
 *
 * @module
 */

import { isThere } from "../guest/build.ts";
import { type Context, interleave, type Row } from "./benchmark.ts";
import { TextLineStream } from "./text_lines.ts";

const QEMU = "qemu-system-x86_64";

const MIB = 1024 * 1024;

/** What a VM has besides the memory that is filled. */
const REST_MIB = 128;

/** Where the filled memory begins: above what firmware uses. */
const LOAD_GPA = 64 * 1024 * 1024;

/** How long between two looks whether it is done, ms. */
const POLL_MS = 20;

/**
 * Measures moves of `mib` of memory, bytes a second, and beside them those of
 * the program in C, and QEMU's; where that is not installed, a note says so.
 */
export async function besideQemu(
  context: Context,
  { mib, rounds }: { mib: number; rounds: number },
  ours: () => Promise<number>,
): Promise<Pick<Row, "samples" | "notes">> {
  const c = async () => {
    await context.warmMemory(2 * mib);
    const [ns] = await context.runC("migrate", mib);
    return mib * MIB / (ns / 1e9);
  };
  const subjects = { ours, c };
  if (!await isThere(QEMU)) {
    const notes = [`${QEMU} is not installed`];
    return { notes, samples: await interleave(rounds, subjects) };
  }
  const qemu = async () => mib * MIB / await migrateQemu(context.folder, mib);
  return { samples: await interleave(rounds, { ...subjects, qemu }) };
}

/** A QEMU whose monitor is talked to. */
class Monitor implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  constructor(args: string[]) {
    this.#child = new Deno.Command(QEMU, {
      args: [
        ...["-accel", "tcg", "-nodefaults", "-display", "none", "-S"],
        ...["-monitor", "stdio", ...args],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = TextLineStream.of(this.#child.stdout).getReader();
  }

  /** Sends a command. */
  async send(command: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${command}\n`));
  }

  /** The first line that `pattern` matches. */
  async find(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const { done, value } = await this.#lines.read();
      if (done) throw new Error(`${QEMU} ended before it said ${pattern}`);
      const match = pattern.exec(value);
      if (match) return match;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.send("quit").catch(() => {});
    await this.#writer.close().catch(() => {});
    await this.#lines.cancel().catch(() => {});
    await this.#child.status;
  }
}

/**
 * Moves a VM with `mib` of written memory.
 *
 * @param folder takes the content of its memory
 * @returns the seconds that it says it took
 */
async function migrateQemu(
  folder: string,
  mib: number,
): Promise<number> {
  const content = `${folder}/qemu-${mib}.bin`;
  await writeContent(content, mib);
  const memory = ["-m", `${mib + REST_MIB}M`];
  const port = freePort();
  const to = `tcp:127.0.0.1:${port}`;
  await using destination = new Monitor([...memory, "-incoming", to]);
  await using source = new Monitor([
    ...memory,
    "-device",
    `loader,file=${content},addr=0x${LOAD_GPA.toString(16)},force-raw=on`,
  ]);
  // It listens once it answers.
  await destination.send("info status");
  await destination.find(/inmigrate/);
  await source.send("migrate_set_parameter max-bandwidth 1T");
  await source.send(`migrate -d ${to}`);
  for (;;) {
    await source.send("info migrate");
    const [, status] = await source.find(/Migration status: (\w+)/);
    if (status === "failed") throw new Error(`${QEMU} could not migrate`);
    if (status === "completed") {
      const [, ms] = await source.find(/total time: (\d+) ms/);
      // It says that it is done before it has worked out how long it took.
      if (Number(ms) > 0) return Number(ms) / 1000;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Writes numbers that do not repeat, as the guest program does. */
async function writeContent(path: string, mib: number): Promise<void> {
  try {
    await Deno.stat(path);
    return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  using file = await Deno.create(path);
  const words = new BigUint64Array(1024 * 1024 / 8);
  for (let i = 0; i < mib; i++) {
    for (let k = 0; k < words.length; k++) {
      words[k] = BigInt(i * words.length + k + 1) * 0x9e3779b97f4a7c15n;
    }
    await file.write(new Uint8Array(words.buffer));
  }
}

/** A port that nobody listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
