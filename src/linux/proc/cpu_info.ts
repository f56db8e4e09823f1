/**
 * /proc/cpuinfo: what CPUID tells the program, as text.
 *
 * @module
 */

import { cpuidEntries, type CpuidEntry } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { cpuFlags } from "./cpu_flags.ts";

/** The four bytes of a register as text, its lowest first. */
function textOf(...registers: number[]): string {
  return registers.map((word) =>
    String.fromCharCode(
      ...[0, 8, 16, 24].map((shift) => word >>> shift & 0xff),
    )
  ).join("");
}

/** Text of a CPU, up to its zero, without what would break a line. */
function clean(name: string): string {
  return name.split("\0")[0].replace(/[^ -~]/g, "?").trim();
}

/** Family, model and stepping of leaf 1's EAX (CPUID, "Version Information"). */
function versionOf(eax: number) {
  const family = eax >>> 8 & 0xf;
  const model = eax >>> 4 & 0xf;
  return {
    stepping: eax & 0xf,
    family: family === 15 ? family + (eax >>> 20 & 0xff) : family,
    model: family === 6 || family === 15
      ? model | (eax >>> 16 & 0xf) << 4
      : model,
  };
}

/** The text of /proc/cpuinfo for CPUID's entries; one CPU. */
export function cpuInfoText(entries: readonly CpuidEntry[]): string {
  const of = (leaf: number) =>
    entries.find((entry) => entry.leaf === leaf)?.registers ?? [0, 0, 0, 0];
  const [, b, c, d] = of(0);
  const { family, model, stepping } = versionOf(of(1)[0]);
  const brand = [0x8000_0002, 0x8000_0003, 0x8000_0004]
    .map((leaf) => textOf(...of(leaf))).join("");
  const sizes = of(0x8000_0008)[0];
  const lines: [string, string | number][] = [
    ["processor", 0],
    ["vendor_id", clean(textOf(b, d, c))],
    ["cpu family", family],
    ["model", model],
    ["model name", clean(brand)],
    ["stepping", stepping],
    ["physical id", 0],
    ["siblings", 1],
    ["core id", 0],
    ["cpu cores", 1],
    ["apicid", 0],
    ["initial apicid", 0],
    ["fpu", "yes"],
    ["fpu_exception", "yes"],
    ["cpuid level", of(0)[0]],
    ["wp", "yes"],
    ["flags", cpuFlags(entries).join(" ")],
    ["clflush size", (of(1)[1] >>> 8 & 0xff) * 8],
    ["cache_alignment", 64],
    [
      "address sizes",
      `${sizes & 0xff} bits physical, ${sizes >>> 8 & 0xff} bits virtual`,
    ],
  ];
  const shown = lines.map(([name, value]) => {
    const tabs = "\t".repeat(name.length < 8 ? 2 : 1);
    return `${name}${tabs}: ${value}\n`;
  });
  return `${shown.join("")}power management:\n\n`;
}

/** The text of /proc/cpuinfo. */
export function cpuInfoOf(linux: Linux): string {
  return cpuInfoText([...cpuidEntries(linux.cpuid())]);
}
