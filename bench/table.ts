/**
 * Printing results as an aligned table.
 *
 * @module
 */

import type { Quantity } from "./benchmark.ts";
import { lessIsBetter, type Result, type Spread } from "./statistics.ts";

const HEAD = ["measured", "ScratchVM", "C", "native", "QEMU", "ratio", "aim"];

/** Units by size, the largest first: factor to divide by, and name. */
const UNITS: Record<Quantity, readonly [number, string][]> = {
  time: [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]],
  speed: [[2 ** 30, "GiB/s"], [2 ** 20, "MiB/s"]],
  rate: [[1e6, "M/s"], [1, "/s"]],
  size: [[2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]],
};

/** A number with three significant digits, or all before the point. */
function digits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

/** Formats a quantity in the unit that suits it. */
export function formatQuantity(quantity: Quantity, value: number): string {
  const units = UNITS[quantity];
  const [factor, unit] = units.find(([f]) => value >= f) ??
    units[units.length - 1];
  return `${digits(value / factor)} ${unit}`;
}

/** "median unit (min-max)". */
function formatSpread(quantity: Quantity, spread?: Spread): string {
  if (!spread) return "";
  const units = UNITS[quantity];
  const [factor, unit] = units.find(([f]) => spread.median >= f) ??
    units[units.length - 1];
  const { median, min, max } = spread;
  if (min === max) return `${digits(median / factor)} ${unit}`;
  return `${digits(median / factor)} ${unit} (${digits(min / factor)}-${
    digits(max / factor)
  })`;
}

function formatRatio({ ratio, against }: Result): string {
  if (!ratio) return "";
  const of = against === "c" ? "C" : "native";
  return `${ratio.median.toFixed(2)} x ${of} (${ratio.min.toFixed(2)}-${
    ratio.max.toFixed(2)
  })`;
}

function formatAim({ quantity, aim, reached }: Result): string {
  if (aim === undefined) return "";
  const sign = lessIsBetter(quantity) ? "<=" : ">=";
  return `${sign} ${aim.toFixed(2)} ${reached ? "yes" : "NO"}`;
}

/** The table, and what explains it below, as lines. */
export function formatTable(results: readonly Result[]): string[] {
  const body = results.map((result) => [
    result.title,
    formatSpread(result.quantity, result.spread.ours),
    formatSpread(result.quantity, result.spread.c),
    formatSpread(result.quantity, result.spread.native),
    formatSpread(result.quantity, result.spread.qemu),
    formatRatio(result),
    formatAim(result),
  ]);
  const widths = HEAD.map((head, i) =>
    Math.max(head.length, ...body.map((cells) => cells[i].length))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd();
  const lines = [
    line(HEAD),
    line(widths.map((width) => "-".repeat(width))),
    ...body.map(line),
  ];
  const noted = results.filter(({ notes }) => notes && notes.length > 0);
  if (noted.length > 0) lines.push("");
  for (const { title, notes } of noted) {
    for (const note of notes!) lines.push(`${title}: ${note}`);
  }
  return lines;
}
