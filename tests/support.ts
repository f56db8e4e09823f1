/**
 * What tests of whole VMs share: guest programs, scratch folders, native runs.
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import {
  type CommonOptions,
  type RestoreOptions,
  ScriptConsole,
  Vm,
  type VmEnd,
  type VmOptions,
} from "../mod.ts";

/** The command line, as `deno task vm` runs it. */
const CLI = new URL("../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** Paths of guest programs, built if need be, by name. */
export async function guest(...names: string[]): Promise<string[]> {
  const built = await buildGuest(names);
  return names.map((name) => built.get(name)!);
}

/** A scratch folder, removed when it is disposed of. */
export class Scratch implements AsyncDisposable {
  /** Its path. */
  readonly path = Deno.realPathSync(Deno.makeTempDirSync());

  /** The path of a file in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** What a program did. */
export interface Outcome {
  /** Standard output. */
  readonly stdout: string;
  /** Standard error. */
  readonly stderr: string;
  /** Exit status, as a shell has it: 128 + N for signal N. */
  readonly status: number;
}

async function runCommand(
  command: string,
  args: readonly string[],
  cwd: string,
  stdin = "",
): Promise<Outcome> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that ends before it has read all closes the pipe.
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, signal, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return {
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
    // Deno gives the number itself for a signal: 128 + N.
    status: signal ? code : code,
  };
}

/** Runs a program natively. */
export function native(
  program: string,
  args: readonly string[] = [],
  cwd = "/tmp",
  stdin = "",
): Promise<Outcome> {
  return runCommand(program, args, cwd, stdin);
}

/** Runs the command line in a process of its own. */
export function vm(
  args: readonly string[],
  cwd = "/tmp",
  stdin = "",
): Promise<Outcome> {
  const run = ["run", "-A", "--config", CONFIG, CLI, ...args];
  return runCommand(Deno.execPath(), run, cwd, stdin);
}

/** A VM in this process, and what its program printed so far. */
export class TestVm implements AsyncDisposable {
  /** Standard output and error, all that was printed. */
  readonly output = { stdout: "", stderr: "" };
  /** Standard input. */
  readonly console: ScriptConsole;
  /** The VM, once {@linkcode create} or {@linkcode restore} gave it. */
  vm!: Vm;
  /** What the VM told its user. */
  readonly warnings: string[] = [];

  private constructor() {
    const stdout = new TextDecoder();
    const stderr = new TextDecoder();
    this.console = new ScriptConsole({
      stdout: (b) => this.output.stdout += stdout.decode(b, { stream: true }),
      stderr: (b) => this.output.stderr += stderr.decode(b, { stream: true }),
    });
  }

  #common(): CommonOptions {
    return { console: this.console, warn: (w) => this.warnings.push(w) };
  }

  /** Makes a VM. */
  static async create(options: VmOptions): Promise<TestVm> {
    const test = new TestVm();
    test.vm = await Vm.create({ ...test.#common(), ...options });
    return test;
  }

  /** Thaws one; output goes on from `before`. */
  static async restore(
    image: string | ReadableStream<Uint8Array>,
    options: RestoreOptions = {},
    before?: TestVm,
  ): Promise<TestVm> {
    const test = new TestVm();
    if (before) Object.assign(test.output, before.output);
    test.vm = await Vm.restore(image, { ...test.#common(), ...options });
    return test;
  }

  /** Runs to the end. */
  run(): Promise<VmEnd> {
    return this.vm.run();
  }

  /** Resolves once standard output includes `text`. */
  async until(text: string): Promise<void> {
    while (!this.output.stdout.includes(text)) {
      if (this.vm.end) throw new Error(`the program ended before "${text}"`);
      await delay(1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm[Symbol.asyncDispose]();
  }
}

/**
 * A VM that waits for input with files, a pipe and `folder` open, which it may
 * use (guest/tests/held.c).
 */
export async function heldVm(
  folder: string,
  options: Pick<VmOptions, "memoryBytes"> = {},
): Promise<TestVm> {
  const [program] = await guest("held");
  const test = await TestVm.create({
    program,
    cwd: folder,
    allow: { read: [folder], write: [folder] },
    ...options,
  });
  test.run().catch(() => {});
  await test.until("ready");
  return test;
}

/** Waits. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Open descriptors and mappings of this process. */
export function resources(): { fds: number; mappings: number } {
  const fds = [...Deno.readDirSync("/proc/self/fd")].length;
  const maps = Deno.readTextFileSync("/proc/self/maps");
  return { fds, mappings: maps.split("\n").length };
}

/** A generator of random numbers from 0 to 1 whose seed is printed. */
export function seeded(name: string): () => number {
  const given = Deno.env.get("SCRATCHVM_SEED");
  let seed = given ? Number(given) : Math.floor(Math.random() * 2 ** 31);
  console.log(`${name}: SCRATCHVM_SEED=${seed}`);
  return () => {
    // xorshift32 (Marsaglia, 2003).
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) / 2 ** 32;
  };
}
