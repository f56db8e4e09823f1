/**
 * Runs sequences of system calls natively and in a VM, and finds the smallest
 * that is not answered the same.
 *
 * @module
 */

import fc from "fast-check";
import { guest, native, Scratch, TestVm } from "../support.ts";
import { statusOf } from "../linux/compare.ts";

/** How long a VM may take before it is ended: a call that hangs is found. */
const PATIENCE_MS = Number(Deno.env.get("SCRATCHVM_PATIENCE_MS") ?? 300_000);

/** Most smaller sequences that are tried in one run. */
const MAX_CANDIDATES = 100;

/** What fast-check knows of a value that it made. */
type Made = fc.Value<string[]>;

/** A sequence that two runs do not answer the same. */
export interface Difference {
  /** Which one of those that were run. */
  readonly index: number;
  /** What it did natively, line by line. */
  readonly expected: readonly string[];
  /** What it did in the VM. */
  readonly got: readonly string[];
}

/** The script that sequence.c reads. */
export function scriptOf(sequences: readonly (readonly string[])[]): string {
  return sequences.map((lines, i) =>
    [`sequence ${i}`, ...lines, "end", ""].join("\n")
  ).join("");
}

/** What each sequence printed, by its number. */
function byNumber(stdout: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  let lines: string[] = [];
  for (const line of stdout.split("\n")) {
    const number = /^sequence (\d+)$/.exec(line)?.[1];
    if (number) found.set(Number(number), lines = []);
    else lines.push(line);
  }
  return found;
}

/** Why vectors are refused, where several reasons are there: kernels differ. */
const REFUSED_VECTORS = /^(p?(?:readv|writev)2? .*:) -(?:9|14|22|29|95)$/;

/** Of attributes with names that are not right, or more that is not. */
const REFUSED_ATTRIBUTES = /^([lf]?setxattr (?!\S+ "user\.[ab] ).*:) -\d+$/;

function comparable(lines: readonly string[]): string {
  return lines.map((line) =>
    line.replace(REFUSED_VECTORS, "$1 refused")
      .replace(REFUSED_ATTRIBUTES, "$1 refused")
  ).join("\n");
}

/** Runs the script in a VM, which is another one after each SAVE(). */
async function inVm(
  program: string,
  folder: string,
  image: string,
): Promise<string> {
  const options = {
    allow: { read: [folder], write: [folder] },
    onSave: async (vm: TestVm["vm"]) => {
      await vm.save(image);
      return "stop" as const;
    },
  };
  let test = await TestVm.create({
    program,
    args: ["script"],
    cwd: folder,
    memoryBytes: 128 * 1024 ** 2,
    ...options,
  });
  let isLate = false;
  const guard = setTimeout(() => {
    isLate = true;
    void test.vm.kill();
  }, PATIENCE_MS);
  try {
    for (;;) {
      test.console.end();
      const end = await test.run();
      if (end.kind !== "saved") {
        const late = isLate ? " (took too long)" : "";
        return `${test.output.stdout}status ${statusOf(end)}${late}\n`;
      }
      await test[Symbol.asyncDispose]();
      test = await TestVm.restore(image, options, test);
    }
  } catch (error) {
    return `${test.output.stdout}the VMM failed: ${(error as Error).stack}\n`;
  } finally {
    clearTimeout(guard);
    await test[Symbol.asyncDispose]();
  }
}

/** Runs sequences both ways, each in a fresh folder; those that differ. */
export async function differences(
  sequences: readonly (readonly string[])[],
): Promise<Difference[]> {
  const [program] = await guest("sequence");
  await using natively = new Scratch();
  await using virtual = new Scratch();
  await using images = new Scratch();
  const script = scriptOf(sequences);
  for (const { path } of [natively, virtual]) {
    await Deno.writeTextFile(`${path}/script`, script);
  }
  const outcome = await native(program, ["script"], natively.path);
  const wanted = byNumber(`${outcome.stdout}status ${outcome.status}\n`);
  const stdout = await inVm(program, virtual.path, images.file("vm.img"));
  const got = byNumber(stdout);
  const found: Difference[] = [];
  for (const index of sequences.keys()) {
    const expected = wanted.get(index) ?? [];
    const actual = got.get(index) ?? [];
    // After one that ended the program there are no more.
    if (actual.length === 0 && found.length > 0) break;
    if (comparable(expected) === comparable(actual)) continue;
    found.push({ index, expected, got: actual });
  }
  return found;
}

/** Values as fast-check makes them, with what it needs to shrink them. */
function make(
  arbitrary: fc.Arbitrary<string[]>,
  seed: number,
  count: number,
): Made[] {
  const made: Made[] = [];
  class Noted extends fc.Arbitrary<string[]> {
    generate(random: fc.Random, bias: number | undefined): Made {
      const value = arbitrary.generate(random, bias);
      made.push(value);
      return value;
    }
    canShrinkWithoutContext(value: unknown): value is string[] {
      return arbitrary.canShrinkWithoutContext(value);
    }
    shrink(value: string[], context: unknown): fc.Stream<Made> {
      return arbitrary.shrink(value, context);
    }
  }
  fc.sample(new Noted(), { seed, numRuns: count });
  return made;
}

/** The smallest sequence found that still differs, and how. */
async function shrink(
  arbitrary: fc.Arbitrary<string[]>,
  made: Made,
  difference: Difference,
): Promise<{ lines: string[]; difference: Difference }> {
  for (;;) {
    const smaller = [
      ...arbitrary.shrink(made.value, made.context).take(MAX_CANDIDATES),
    ];
    if (smaller.length === 0) break;
    const [first] = await differences(smaller.map(({ value }) => value));
    if (!first) break;
    made = smaller[first.index];
    difference = first;
  }
  return { lines: made.value, difference };
}

/** The lines that differ, and the calls before them. */
function report(lines: readonly string[], difference: Difference): string {
  const { expected, got } = difference;
  const length = Math.max(expected.length, got.length);
  const shown = Array.from({ length }, (_, i) => i)
    .filter((i) => expected[i] !== got[i])
    .map((i) => `- ${expected[i] ?? ""}\n+ ${got[i] ?? ""}`);
  return [...lines, "(- natively, + in the VM)", ...shown].join("\n");
}

/**
 * Runs sequences that were given by name.
 *
 * @throws {Error} with all that differ
 */
export async function checkFound(
  found: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const all = Object.entries(found);
  const differ = await differences(all.map(([, lines]) => lines));
  if (differ.length === 0) return;
  const reports = differ.map((one) => {
    const [name, lines] = all[one.index];
    return `${name}\n${report(lines, one)}`;
  });
  throw new Error(`Not answered as natively:\n${reports.join("\n\n")}`);
}

/**
 * Runs many sequences both ways, in as few VMs as can be.
 *
 * @throws {Error} with the smallest that is found to differ
 */
export async function checkSequences(
  arbitrary: fc.Arbitrary<string[]>,
  seed: number,
  count: number,
): Promise<void> {
  const made = make(arbitrary, seed, count);
  const [first] = await differences(made.map(({ value }) => value));
  if (!first) return;
  const smallest = await shrink(arbitrary, made[first.index], first);
  throw new Error(
    `Not answered as natively:\n${report(smallest.lines, smallest.difference)}`,
  );
}
