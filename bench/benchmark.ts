/**
 * What a benchmark is, and what it gives.
 *
 * @module
 */

/**
 * Who was measured: ScratchVM, a program in C, the same program without a VM or
 * the usual tool for it, QEMU.
 */
export type Subject = "ours" | "c" | "native" | "qemu";

/** What is measured, in seconds, bytes a second, steps a second, or bytes. */
export type Quantity = "time" | "speed" | "rate" | "size";

/** One line of the table. */
export interface Row {
  /** What was measured. */
  readonly title: string;
  /** What the samples are. */
  readonly quantity: Quantity;
  /** One sample a round, in the order of the rounds. */
  readonly samples: { readonly [S in Subject]?: readonly number[] };
  /** Whom to compare with. */
  readonly against?: "c" | "native";
  /** The ratio to reach: at most for times and sizes, at least for the rest. */
  readonly aim?: number;
  /** What explains the figures, a sentence each. */
  readonly notes?: readonly string[];
}

/** What benchmarks share. */
export interface Context {
  /** Whether this run only shows that everything works. */
  readonly quick: boolean;
  /** A folder for files, removed at the end. */
  readonly folder: string;
  /** Runs one of the C programs of bench/c; gives the numbers it printed. */
  runC(name: string, ...args: (string | number)[]): Promise<number[]>;
  /** The path of one of the C programs of bench/c. */
  pathC(name: string): string;
  /** The path of a guest program. */
  guest(name: string): string;
  /**
   * Has this machine put memory behind its memory: a virtual machine's that was
   * never used, or not for a while, is slow when it is used again, and whoever
   * comes first would pay for it.
   */
  warmMemory(mib: number): Promise<void>;
}

/** One file's measurements. */
export interface Benchmark {
  /** What it is called on the command line. */
  readonly name: string;
  /** Whether it makes VMs. */
  readonly needsKvm: boolean;
  /** Its guest programs. */
  readonly guests: readonly string[];
  /** Measures. */
  run(context: Context): Promise<Row[]>;
}

/**
 * Measures several subjects in turn, so that what the machine does meanwhile
 * meets all of them. One round before the first one warms up and is dropped.
 *
 * @param rounds how often each is measured
 * @param subjects what gives one sample
 * @returns the samples of each, in the order of the rounds
 */
export async function interleave<Name extends string>(
  rounds: number,
  subjects: Record<Name, () => number | Promise<number>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(subjects) as Name[];
  const samples = Object.fromEntries(
    names.map((n) => [n, []]),
  ) as unknown as Record<Name, number[]>;
  for (let round = -1; round < rounds; round++) {
    // There and back again: a drift favours nobody.
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) {
      const sample = await subjects[name]();
      if (round >= 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** Seconds since `startedMs`, a time of performance.now(). */
export function secondsSince(startedMs: number): number {
  return (performance.now() - startedMs) / 1000;
}
