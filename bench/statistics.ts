/**
 * Medians, ratios, and whether they reach their aim.
 *
 * @module
 */

import type { Quantity, Row, Subject } from "./benchmark.ts";

/** What a row of samples comes down to. */
export interface Spread {
  /** The middle one. */
  readonly median: number;
  /** The smallest. */
  readonly min: number;
  /** The largest. */
  readonly max: number;
}

/** A row, with its samples summed up. */
export interface Result extends Row {
  /** Of each subject. */
  readonly spread: { readonly [S in Subject]?: Spread };
  /** Ours by the one it is compared with, round by round. */
  readonly ratio?: Spread;
  /** Whether the median ratio, to two decimals, reaches the aim. */
  readonly reached?: boolean;
}

/** The median, the smallest and the largest. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/** Whether less is better. */
export function lessIsBetter(quantity: Quantity): boolean {
  return quantity === "time" || quantity === "size";
}

/** Sums up a row. */
export function summarize(row: Row): Result {
  const spread: { [S in Subject]?: Spread } = {};
  for (const subject of ["ours", "c", "native", "qemu"] as const) {
    const samples = row.samples[subject];
    if (samples && samples.length > 0) spread[subject] = spreadOf(samples);
  }
  const ours = row.samples.ours ?? [];
  const base = row.against ? row.samples[row.against] ?? [] : [];
  // Of pairs measured one after the other, so that a drift of the machine is
  // not taken for a difference.
  const ratios = ours.slice(0, base.length).map((value, i) => value / base[i]);
  if (ratios.length === 0) return { ...row, spread };
  const ratio = spreadOf(ratios);
  if (row.aim === undefined) return { ...row, spread, ratio };
  const rounded = Math.round(ratio.median * 100) / 100;
  const reached = lessIsBetter(row.quantity)
    ? rounded <= row.aim
    : rounded >= row.aim;
  return { ...row, spread, ratio, reached };
}
