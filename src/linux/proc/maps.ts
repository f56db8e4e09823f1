/**
 * /proc/PID/maps: the areas of the program's memory.
 *
 * @module
 */

import { pathOf } from "../../devices/mod.ts";
import { PROT } from "../../vmm/mod.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";

/** In which column the name begins (fs/proc/task_mmu.c). */
const NAME_COLUMN = 73;

function nameOf(linux: Linux, { kind }: Area): string {
  switch (kind) {
    case "program":
      return linux.process.state.executable;
    case "heap":
      return "[heap]";
    case "stack":
      return "[stack]";
    case "vdso":
      return "[vdso]";
    case "vvar":
      return "[vvar]";
    default:
      return "";
  }
}

/** The first part of a line: addresses and what the area allows. */
function head({ start, end, prot, kind }: Area): string {
  const address = (va: number) => va.toString(16).padStart(8, "0");
  const flag = (bit: number, letter: string) => prot & bit ? letter : "-";
  const allows = flag(PROT.read, "r") + flag(PROT.write, "w") +
    flag(PROT.exec, "x");
  const sharing = kind === "shared" || kind === "device" ? "s" : "p";
  return `${address(start)}-${
    address(end)
  } ${allows}${sharing} 00000000 00:00 0 `;
}

/** The text of /proc/PID/maps, a character a byte. */
export function mapsOf(linux: Linux): string {
  return linux.space.areas.all.map((area) => {
    // A line break in a name would begin a line (seq_file's mangling).
    const name = pathOf(nameOf(linux, area)).replaceAll("\n", "\\012");
    const line = head(area);
    return name === "" ? `${line}\n` : `${line.padEnd(NAME_COLUMN)}${name}\n`;
  }).join("");
}
