/**
 * /proc/PID/maps: the areas of the program's memory.
 *
 * @module
 */

import { MAX_VIRTUAL_BYTES, pathOf } from "../../devices/mod.ts";
import { PROT } from "../../vmm/mod.ts";
import { type AreaSource, sourceOf } from "../area_source.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";

/** In which column the name begins (fs/proc/task_mmu.c). */
const NAME_COLUMN = 73;

/** Where an area's pages are from, and what that is called. */
function sourceFor(
  linux: Linux,
  { kind, gpa, source }: Area,
): AreaSource | undefined {
  if (kind !== "shared") return source;
  const mapping = linux.space.files.find(gpa!);
  const fd = linux.space.files.file(gpa!)?.hostFd;
  if (!mapping || fd === undefined) return undefined;
  const file = sourceOf(fd, linux.paths.nameOf(fd));
  return file && { file, offset: mapping.offset + (gpa! - mapping.gpa) };
}

function nameOf(linux: Linux, { kind }: Area): string {
  switch (kind) {
    case "program": // of an image from before files were noted
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
function head(
  { start, end, prot, kind }: Area,
  source: AreaSource | undefined,
): string {
  const address = (va: number) => va.toString(16).padStart(8, "0");
  const flag = (bit: number, letter: string) => prot & bit ? letter : "-";
  const allows = flag(PROT.read, "r") + flag(PROT.write, "w") +
    flag(PROT.exec, "x");
  const sharing = kind === "shared" || kind === "device" ? "s" : "p";
  const offset = address(source?.offset ?? 0);
  const { device = 0n, inode = 0n } = source?.file ?? {};
  const major = device >> 8n & 0xfffn | device >> 32n & ~0xfffn;
  const minor = device & 0xffn | device >> 12n & ~0xffn & 0xffff_ffffn;
  const hex = (n: bigint) => n.toString(16).padStart(2, "0");
  const where = `${offset} ${hex(major)}:${hex(minor)} ${inode} `;
  return `${address(start)}-${address(end)} ${allows}${sharing} ${where}`;
}

/**
 * The text of /proc/PID/maps, a character a byte: as much as a file may hold. A
 * program can have many areas of files with long names.
 */
export function mapsOf(linux: Linux): string {
  const lines: string[] = [];
  let length = 0;
  for (const area of linux.space.areas.all) {
    // A line break in a name would begin a line (seq_file's mangling).
    const source = sourceFor(linux, area);
    const path = source?.file.path ?? pathOf(nameOf(linux, area));
    const name = path.replaceAll("\n", "\\012");
    const line = head(area, source);
    const whole = name === "" ? line : `${line.padEnd(NAME_COLUMN)}${name}`;
    length += whole.length + 1;
    if (length > MAX_VIRTUAL_BYTES) break;
    lines.push(`${whole}\n`);
  }
  return lines.join("");
}
