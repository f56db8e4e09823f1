/**
 * /proc/meminfo, and what else tells of the VM's memory.
 *
 * @module
 */

import type { Linux } from "../linux.ts";

/** The text of /proc/meminfo (proc_meminfo(5)). */
export function memoryInfoOf(linux: Linux): string {
  const total = linux.memory.sizeBytes;
  const free = linux.space.blocks.freeBytes;
  const lines: [string, number][] = [
    ["MemTotal", total],
    ["MemFree", free],
    ["MemAvailable", free],
    ["Buffers", 0],
    ["Cached", 0],
    ["SwapCached", 0],
    ["Active", total - free],
    ["Inactive", 0],
    ["SwapTotal", 0],
    ["SwapFree", 0],
    ["Dirty", 0],
    ["Writeback", 0],
    ["AnonPages", total - free],
    ["Mapped", 0],
    ["Shmem", 0],
    ["Slab", 0],
    ["SReclaimable", 0],
    ["SUnreclaim", 0],
    ["CommitLimit", total],
    ["Committed_AS", total - free],
    ["VmallocTotal", 0],
    ["VmallocUsed", 0],
    ["Hugepagesize", 2 * 1024 * 1024],
  ];
  return lines.map(([name, bytes]) => {
    const amount = `${Math.floor(bytes / 1024)}`;
    return `${`${name}:`.padEnd(16)}${amount.padStart(8)} kB\n`;
  }).join("");
}
