/**
 * The ways to run a program of the table: natively, and in a VM that is left
 * alone, frozen and thawed over and over, or moved to another process.
 *
 * @module
 */

import {
  type CommonOptions,
  ScriptConsole,
  Vm,
  type VmEnd,
  type VmOptions,
} from "../../mod.ts";
import { vmWords } from "../cli/command.ts";
import { listFolder, statusOf } from "../linux/compare.ts";
import { Instants, type Length } from "./instants.ts";
import type { Program } from "./table.ts";

/** The environment of every program: what there is of it changes output. */
const ENVIRONMENT = {
  PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
  HOME: "/nonexistent",
  LANG: "C.UTF-8",
  TZ: "UTC",
  TERM: "dumb",
};

/** What can be seen of a run from outside. */
export interface Seen {
  /** Standard output, a character a byte. */
  readonly stdout: string;
  /** Standard error, likewise. */
  readonly stderr: string;
  /** Exit status, as a shell has it. */
  readonly status: number;
  /** Each entry of the folder afterwards. */
  readonly folder: string[];
}

/** A run in a VM. */
export interface SeenInVm {
  /** What could be seen. */
  readonly seen: Seen;
  /** What the VMM told its user. */
  readonly warnings: readonly string[];
  /** How often it was frozen and thawed. */
  readonly frozen: number;
  /** How long it is. */
  readonly length: Length;
}

const latin1 = new TextDecoder("latin1");

/** The words of a program, without its name, and its standard input. */
function inputOf({ stdin = "" }: Program): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(stdin);
}

async function runProcess(
  words: readonly string[],
  cwd: string,
  stdin: Uint8Array<ArrayBuffer>,
  environment?: Record<string, string>,
): Promise<Omit<Seen, "folder">> {
  const [command, ...args] = words;
  const child = new Deno.Command(command, {
    args,
    cwd,
    clearEnv: environment !== undefined,
    env: environment ?? { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // One that ends before it has read all closes the pipe.
  const fed = writer.write(stdin).catch(() => {})
    .then(() => writer.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await fed;
  return {
    stdout: latin1.decode(stdout),
    stderr: latin1.decode(stderr),
    status: code,
  };
}

/** Runs it without a VM. */
export async function natively(
  program: Program,
  folder: string,
): Promise<Seen> {
  // Deno would find the program and give it its path for a name; `env` leaves
  // it the name under which a shell, and the VM, begin it.
  const outcome = await runProcess(
    ["/usr/bin/env", ...program.argv],
    folder,
    inputOf(program),
    ENVIRONMENT,
  );
  return { ...outcome, folder: listFolder(folder) };
}

/** Standard output and error, collected over all VMs of a run. */
class Output {
  readonly warnings: string[] = [];
  stdout = "";
  stderr = "";

  /** Options of a VM whose output comes here. */
  options(): CommonOptions & { console: ScriptConsole } {
    return {
      console: new ScriptConsole({
        stdout: (bytes) => void (this.stdout += latin1.decode(bytes)),
        stderr: (bytes) => void (this.stderr += latin1.decode(bytes)),
      }),
      warn: (message) => void this.warnings.push(message),
    };
  }
}

/** What a program may reach: the system and its folder. */
function allowedOf({ reads = [] }: Program, folder: string) {
  return { read: ["@system", folder, ...reads], write: [folder] };
}

function optionsOf(program: Program, folder: string): VmOptions {
  const [name, ...args] = program.argv;
  return {
    program: name,
    args,
    cwd: folder,
    environment: ENVIRONMENT,
    memoryBytes: (program.memoryMiB ?? 512) * 1024 ** 2,
    allow: allowedOf(program, folder),
  };
}

/** Ends a VM that takes longer: a call that hangs is found. */
class Patience implements Disposable {
  readonly #timer: ReturnType<typeof setTimeout>;
  vm: Vm | undefined;

  constructor(ms: number) {
    this.#timer = setTimeout(() => void this.vm?.kill(), ms);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** How to freeze. */
export interface Freezing {
  /** How often, if the program is long enough. */
  readonly times: number;
  /** How long it is. */
  readonly length: Length;
  /** Where instants come from. */
  readonly random: () => number;
  /** Where the image goes. */
  readonly image: string;
  /** When to give up, ms. */
  readonly patienceMs: number;
}

/** Runs it in a VM, without a stop. */
export async function straight(
  program: Program,
  folder: string,
  patienceMs: number,
): Promise<SeenInVm> {
  const output = new Output();
  const options = output.options();
  let calls = 0;
  await using vm = await Vm.create({
    ...optionsOf(program, folder),
    ...options,
    tracer: { syscall: () => void calls++ },
  });
  using patience = new Patience(patienceMs);
  patience.vm = vm;
  options.console.push(inputOf(program));
  options.console.end();
  const began = performance.now();
  const end = await vm.run();
  const length = { calls, ms: performance.now() - began };
  return { ...seenOf(output, end, folder), frozen: 0, length };
}

function seenOf(output: Output, end: VmEnd, folder: string) {
  const { stdout, stderr, warnings } = output;
  const status = statusOf(end);
  return {
    seen: { stdout, stderr, status, folder: listFolder(folder) },
    warnings,
  };
}

/**
 * Freezes `vm` at the next instant.
 *
 * @returns how it ended, if it did before
 */
async function freezeNext(
  vm: Vm,
  instants: Instants,
  image: string,
): Promise<VmEnd | undefined> {
  let running: Promise<VmEnd> | undefined;
  const run = () => {
    running = vm.run();
    running.catch(() => {}); // it is paused, and looked at below
    return running;
  };
  await instants.next(run, () => void vm.pause());
  await vm.pause();
  if (vm.state === "stopped") return await running;
  await vm.save(image, { stop: true });
}

/** Runs it in VMs, each but the first thawed from an image of the last. */
export async function frozen(
  program: Program,
  folder: string,
  how: Freezing,
): Promise<SeenInVm> {
  const output = new Output();
  const instants = new Instants(how.times, how.length, how.random);
  using patience = new Patience(how.patienceMs);
  let times = 0;
  let options = { ...output.options(), tracer: instants.tracer };
  let vm = await Vm.create({ ...optionsOf(program, folder), ...options });
  try {
    options.console.push(inputOf(program));
    options.console.end();
    let end: VmEnd | undefined;
    while (!end) {
      patience.vm = vm;
      if (!instants.hasMore) {
        end = await vm.run();
        break;
      }
      end = await freezeNext(vm, instants, how.image);
      if (end) break;
      await vm[Symbol.asyncDispose]();
      options = { ...output.options(), tracer: instants.tracer };
      const allow = allowedOf(program, folder);
      vm = await Vm.restore(how.image, { ...options, allow });
      times++;
    }
    return {
      ...seenOf(output, end, folder),
      frozen: times,
      length: how.length,
    };
  } finally {
    await vm[Symbol.asyncDispose]();
  }
}

/** Runs it here up to a random instant, and the rest in another process. */
export async function moved(
  program: Program,
  folder: string,
  how: Freezing,
): Promise<SeenInVm> {
  const output = new Output();
  const options = output.options();
  // In its first half: a run with threads may be much shorter than the first.
  const { calls, ms } = how.length;
  const half = { calls: Math.ceil(calls / 2), ms: ms / 2 };
  const instants = new Instants(1, half, how.random);
  using patience = new Patience(how.patienceMs);
  await using vm = await Vm.create({
    ...optionsOf(program, folder),
    ...options,
    tracer: instants.tracer,
  });
  patience.vm = vm;
  options.console.push(inputOf(program));
  options.console.end();
  const end = instants.hasMore
    ? await freezeNext(vm, instants, how.image)
    : await vm.run();
  if (end) {
    return { ...seenOf(output, end, folder), frozen: 0, length: how.length };
  }
  const { read, write } = allowedOf(program, folder);
  const rest = await runProcess(
    vmWords(
      "restore",
      `--allow-read=${read.join(",")}`,
      `--allow-write=${write.join(",")}`,
      how.image,
    ),
    folder,
    options.console.unread().slice(),
  );
  // What the VMM itself says is no output of the program.
  const said = /^(?:vm|hint|cause): (.*)\n/gm;
  const warnings = [...rest.stderr.matchAll(said)].map(([, text]) => text);
  return {
    seen: {
      stdout: output.stdout + rest.stdout,
      stderr: output.stderr + rest.stderr.replaceAll(said, ""),
      status: rest.status,
      folder: listFolder(folder),
    },
    warnings: [...output.warnings, ...warnings],
    frozen: 1,
    length: how.length,
  };
}
