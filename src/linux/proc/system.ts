/**
 * /sys: the CPU and the node of memory that there are.
 *
 * @module
 */

import type { Linux } from "../linux.ts";
import { fixed, folder, text } from "./node.ts";

/** What a VM's only CPU is in lists and masks of CPUs. */
const ONLY = fixed("0\n");

/** The text of node0/meminfo. */
function nodeMemory(linux: Linux): string {
  const kB = (bytes: number) => `${Math.floor(bytes / 1024)}`.padStart(8);
  const total = linux.memory.sizeBytes;
  const free = linux.space.blocks.freeBytes;
  return `Node 0 MemTotal: ${kB(total)} kB\nNode 0 MemFree: ${kB(free)} kB\n` +
    `Node 0 MemUsed: ${kB(total - free)} kB\n`;
}

/** /sys. */
export const systemFolder = folder({
  devices: folder({
    system: folder({
      cpu: folder({
        cpu0: folder({
          topology: folder({
            core_cpus: fixed("1\n"),
            core_cpus_list: ONLY,
            core_id: ONLY,
            die_id: ONLY,
            package_cpus: fixed("1\n"),
            package_cpus_list: ONLY,
            physical_package_id: ONLY,
            thread_siblings: fixed("1\n"),
            thread_siblings_list: ONLY,
          }),
        }),
        isolated: fixed("\n"),
        kernel_max: ONLY,
        offline: fixed("\n"),
        online: ONLY,
        possible: ONLY,
        present: ONLY,
      }),
      node: folder({
        has_cpu: ONLY,
        has_memory: ONLY,
        node0: folder({
          cpulist: ONLY,
          cpumap: fixed("1\n"),
          distance: fixed("10\n"),
          meminfo: text(nodeMemory),
        }),
        online: ONLY,
        possible: ONLY,
      }),
    }),
  }),
  fs: folder({ cgroup: folder({}) }),
  kernel: folder({
    mm: folder({
      transparent_hugepage: folder({
        enabled: fixed("[always] madvise never\n"),
        hpage_pmd_size: fixed("2097152\n"),
      }),
    }),
  }),
});
