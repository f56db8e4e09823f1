/**
 * Where hostile programs run: a folder inside of one that is not theirs, and
 * what the VMM may take of the host meanwhile.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { RestoreOptions, VmEnd, VmOptions } from "../../mod.ts";
import { held, moreHeld } from "../cli/held.ts";
import { listFolder } from "../linux/compare.ts";
import { guest, Scratch, TestVm } from "../support.ts";

/** When a program that does not end is ended, ms. */
const PATIENCE_MS = Number(Deno.env.get("SCRATCHVM_PATIENCE_MS") ?? 600_000);

/** Memory of the VM, and what the VMM may take for itself besides. */
const MEMORY_BYTES = 64 * 1024 ** 2;
const GROWTH_BYTES = 400 * 1024 ** 2;

/** What is in the files outside; hostile_canary.h knows it. */
const CANARY = "Nobody reads this: it is outside.";

/** A folder that the program may use, inside of one that it may not. */
export class Cage implements AsyncDisposable {
  readonly #scratch = new Scratch();
  /** What is around it: nothing here may change. */
  readonly outside = this.#scratch.path;
  /** Its path. */
  readonly inside = this.#scratch.file("inside");
  readonly #before: readonly string[];

  /** Makes it. */
  constructor() {
    Deno.mkdirSync(this.inside);
    Deno.writeTextFileSync(`${this.outside}/canary`, CANARY);
    Deno.mkdirSync(`${this.outside}/folder`);
    Deno.writeTextFileSync(`${this.outside}/folder/canary`, CANARY);
    this.#before = this.#look();
  }

  #look(): string[] {
    // Names inside need not be text.
    const lines = listFolder(this.outside, "", "inside");
    return lines.map((line) => {
      const { uid, gid, mtime, nlink } = Deno.lstatSync(
        `${this.outside}/${line.split(/[ /]/)[0]}`,
      );
      return `${line} ${uid}:${gid} ${nlink} ${mtime?.getTime()}`;
    });
  }

  /** Checks that nothing outside has changed. */
  check(): void {
    assertEquals(this.#look(), this.#before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scratch[Symbol.asyncDispose]();
  }
}

/** How a program is run, and what may come of it. */
export interface Hostile {
  /** Its name, and its arguments. */
  readonly program: readonly [name: string, ...args: string[]];
  /** Runs beside it, until the signal aborts. */
  readonly beside?: (cage: Cage, signal: AbortSignal) => Promise<void>;
  /** Whether it may read what is outside, but change nothing there. */
  readonly seesOutside?: boolean;
  /** More about the VM. */
  readonly vm?: Partial<VmOptions>;
  /** Whether it goes on for ever, and how long it may; ms. */
  readonly endlessMs?: number;
  /** After how many calls, again and again, it is saved and thawed. */
  readonly callsToSave?: () => number;
}

/** What was seen of it. */
export interface Seen {
  readonly end: VmEnd;
  readonly stdout: string;
  /** How often it was saved, and thawed. */
  readonly saves: number;
}

/** A program in one VM after the other, each but the first thawed. */
class Life implements AsyncDisposable {
  readonly #scratch = new Scratch();
  readonly #image = this.#scratch.file("vm.img");
  readonly #options: RestoreOptions;
  readonly #callsToSave: (() => number) | undefined;
  #callsLeft = Infinity;
  #due = Promise.withResolvers<void>();
  /** The VM that it is in. */
  test!: TestVm;
  /** How often it was saved, and thawed. */
  saves = 0;

  constructor(options: RestoreOptions, callsToSave?: () => number) {
    this.#callsToSave = callsToSave;
    const syscall = () => {
      if (--this.#callsLeft > 0) return;
      this.#callsLeft = Infinity;
      void this.test.vm.pause();
      this.#due.resolve();
    };
    this.#options = callsToSave ? { ...options, tracer: { syscall } } : options;
  }

  async begin(options: VmOptions): Promise<void> {
    this.test = await TestVm.create({ ...options, ...this.#options });
    this.test.console.end();
  }

  /** Runs it to its end. */
  async run(): Promise<VmEnd> {
    for (;;) {
      this.#callsLeft = this.#callsToSave?.() ?? Infinity;
      this.#due = Promise.withResolvers<void>();
      const running = this.test.run();
      await Promise.race([this.#due.promise, running]);
      await this.test.vm.pause();
      if (this.test.vm.state === "stopped") return await running;
      await this.test.vm.save(this.#image, { stop: true });
      await this.test[Symbol.asyncDispose]();
      this.test = await TestVm.restore(this.#image, this.#options, this.test);
      this.test.console.end();
      this.saves++;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.test?.[Symbol.asyncDispose]();
    await this.#scratch[Symbol.asyncDispose]();
  }
}

/**
 * Runs a hostile program to its end, or as long as it may, and checks that the
 * VMM is as it was, and that nothing outside was touched.
 */
export async function contain(hostile: Hostile): Promise<Seen> {
  const [name, ...args] = hostile.program;
  const [program] = await guest(name);
  await using cage = new Cage();
  await (await TestVm.create({ program, args: [] }))[Symbol.asyncDispose]();
  const before = held(cage.inside);
  const residentBefore = Deno.memoryUsage().rss;
  let most = residentBefore;
  const watch = setInterval(() => {
    most = Math.max(most, Deno.memoryUsage().rss);
  }, 20);
  const stop = new AbortController();
  try {
    await using life = new Life({
      allow: {
        read: [hostile.seesOutside ? cage.outside : cage.inside],
        write: [cage.inside],
      },
    }, hostile.callsToSave);
    await life.begin({
      program,
      args,
      cwd: cage.inside,
      memoryBytes: MEMORY_BYTES,
      ...hostile.vm,
    });
    let isLate = false;
    const patience = hostile.endlessMs ?? PATIENCE_MS;
    const guard = setTimeout(() => {
      isLate = true;
      void life.test.vm.kill();
    }, patience);
    const beside = hostile.beside?.(cage, stop.signal);
    const end = await life.run().finally(() => {
      clearTimeout(guard);
      stop.abort();
    });
    await beside;
    const { stdout } = life.test.output;
    assertEquals(isLate, hostile.endlessMs !== undefined, stdout);
    cage.check();
    return { end, stdout, saves: life.saves };
  } finally {
    clearInterval(watch);
    assertEquals(moreHeld(before, held(cage.inside)), {});
    const grown = most - residentBefore;
    assert(grown < MEMORY_BYTES + GROWTH_BYTES, `it took ${grown} bytes`);
  }
}
