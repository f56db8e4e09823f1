/**
 * Where hostile programs run: a folder inside of one that is not theirs, and
 * what the VMM may take of the host meanwhile.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { VmEnd, VmOptions } from "../../mod.ts";
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
    const lines = listFolder(this.outside)
      .filter((line) => !line.startsWith("inside"));
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
}

/** What was seen of it. */
export interface Seen {
  readonly end: VmEnd;
  readonly stdout: string;
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
    await using test = await TestVm.create({
      program,
      args,
      cwd: cage.inside,
      allow: {
        read: [hostile.seesOutside ? cage.outside : cage.inside],
        write: [cage.inside],
      },
      memoryBytes: MEMORY_BYTES,
      ...hostile.vm,
    });
    test.console.end();
    let isLate = false;
    const patience = hostile.endlessMs ?? PATIENCE_MS;
    const guard = setTimeout(() => {
      isLate = true;
      void test.vm.kill();
    }, patience);
    const beside = hostile.beside?.(cage, stop.signal);
    const end = await test.run().finally(() => {
      clearTimeout(guard);
      stop.abort();
    });
    await beside;
    assertEquals(isLate, hostile.endlessMs !== undefined, test.output.stdout);
    cage.check();
    return { end, stdout: test.output.stdout };
  } finally {
    clearInterval(watch);
    assertEquals(moreHeld(before, held(cage.inside)), {});
    const grown = most - residentBefore;
    assert(grown < MEMORY_BYTES + GROWTH_BYTES, `it took ${grown} bytes`);
  }
}
