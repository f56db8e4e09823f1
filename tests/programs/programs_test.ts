/**
 * Every program of the table, in a VM: straight, frozen and thawed on its way,
 * and moved to another process. What can be seen of it is as natively.
 *
 * `deno task programs` runs all of them in full; without it, those that are
 * quick run, frozen a few times. SCRATCHVM_PROGRAMS chooses by a part of the
 * name, SCRATCHVM_FREEZES how often each is frozen.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTestUnless } from "../kvm_gate.ts";
import { Scratch, seeded } from "../support.ts";
import { fill } from "./inputs.ts";
import { sureCalls } from "./instants.ts";
import { type Program, PROGRAMS } from "./table.ts";
import {
  frozen,
  moved,
  natively,
  type Seen,
  type SeenInVm,
  straight,
} from "./ways.ts";

const FULL_FREEZES = 20;
const SHORT_FREEZES = 3;

const isFull = Deno.env.get("SCRATCHVM_FULL") === "1";
const wanted = Deno.env.get("SCRATCHVM_PROGRAMS");
const freezes = Number(
  Deno.env.get("SCRATCHVM_FREEZES") ??
    (isFull ? FULL_FREEZES : SHORT_FREEZES),
);
const ways = (Deno.env.get("SCRATCHVM_WAYS") ?? "straight,frozen,moved")
  .split(",");

/** The ways beside straight, and how often each freezes. */
const WAYS = [["frozen", frozen, freezes], ["moved", moved, 1]] as const;

/** When a program that hangs is ended, ms. */
const PATIENCE_MS = Number(Deno.env.get("SCRATCHVM_PATIENCE_MS") ?? 600_000);

function isThere(command: string): boolean {
  const words = ["-c", 'command -v "$1"', "sh", command];
  return new Deno.Command("sh", { args: words }).outputSync().success;
}

/** A folder as the program is to find it, copied for each run. */
class Folders {
  readonly #scratch: Scratch;
  /** Where it runs: the same path each time, since output may name it. */
  readonly work: string;

  constructor(scratch: Scratch, program: Program) {
    this.#scratch = scratch;
    this.work = scratch.file("work");
    const model = scratch.file("model");
    Deno.mkdirSync(model);
    fill(model, program.needs);
    if (program.setup) this.#shell(program.setup, model);
  }

  /** Makes the folder anew. */
  fresh(): string {
    this.#shell("rm -rf work && cp -a model work", this.#scratch.path);
    return this.work;
  }

  #shell(script: string, cwd: string): void {
    const args = ["-c", script];
    const { success, stderr } = new Deno.Command("sh", { args, cwd })
      .outputSync();
    assert(success, `${script}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** What was seen, with a mark in place of each number. */
function withoutNumbers(seen: Seen): Seen {
  const mark = (text: string) =>
    text.replaceAll(/ *(?:0x[\da-f]+|[\d.]+)/g, " N");
  return { ...seen, stdout: mark(seen.stdout), stderr: mark(seen.stderr) };
}

/** Long output differs in one place: that is shown, not all of it. */
function assertSame(got: Seen, expected: Seen): void {
  for (const name of ["stderr", "stdout"] as const) {
    if (got[name] === expected[name]) continue;
    const [a, b] = [got[name], expected[name]];
    let at = 0;
    while (a[at] === b[at]) at++;
    const from = Math.max(at - 40, 0);
    throw new Error(
      `${name} differs at ${at} of ${a.length}, natively ${b.length}: ` +
        `${JSON.stringify(a.slice(from, at + 300))}, natively ${
          JSON.stringify(b.slice(from, at + 300))
        } (status ${got.status}, natively ${expected.status}; stderr ${
          JSON.stringify(got.stderr.slice(0, 500))
        })`,
    );
  }
  assertEquals(got.status, expected.status);
  assertEquals(got.folder, expected.folder);
}

async function runThreeWays(program: Program): Promise<void> {
  const random = seeded(program.name);
  await using scratch = new Scratch();
  const folders = new Folders(scratch, program);
  const expected = await natively(program, folders.fresh());
  // One that fails natively compares no more than its message.
  assertEquals(expected.status, program.status ?? 0, expected.stderr);
  const image = scratch.file("image");
  const say = (way: string, run: SeenInVm) => {
    const { calls, ms } = run.length;
    console.log(
      `${program.name}: ${way}: frozen ${run.frozen} times; ${calls} calls, ${
        Math.round(ms)
      } ms`,
      ...new Set(run.warnings),
    );
    if (program.numbersDiffer) {
      assertSame(withoutNumbers(run.seen), withoutNumbers(expected));
    } else assertSame(run.seen, expected);
  };
  const first = await straight(program, folders.fresh(), PATIENCE_MS);
  say("straight", first);
  const how = { length: first.length, random, image, patienceMs: PATIENCE_MS };
  for (const [way, run, times] of WAYS) {
    if (!ways.includes(way)) continue;
    const seen = await run(program, folders.fresh(), { ...how, times });
    say(way, seen);
    const least = Math.min(times, sureCalls(first.length.calls));
    assert(seen.frozen >= least, `frozen ${seen.frozen} times, not ${least}`);
  }
}

const absent = new Set<string>();

for (const program of PROGRAMS) {
  if (wanted ? !program.name.match(wanted) : !isFull && !program.quick) {
    continue;
  }
  const [command] = program.argv;
  const lacks = program.lacks ?? (isThere(command) ? undefined : command);
  if (lacks !== undefined) {
    absent.add(program.lacks ?? `${command} (package ${program.package})`);
  }
  kvmTestUnless(
    lacks,
    `programs: ${program.name} does the same, frozen or not`,
    async () => {
      try {
        await runThreeWays(program);
      } catch (error) {
        // Said at once: a run of all programs takes long.
        console.log(`${program.name}: FAILED: ${error}`);
        throw error;
      }
    },
  );
}

if (absent.size > 0) {
  console.error(`Programs that are absent: ${[...absent].join(", ")}`);
}
