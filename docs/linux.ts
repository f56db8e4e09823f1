/**
 * Writes docs/linux.md: which system calls there are, as the code has them.
 *
 * `deno task syscalls`
 *
 * @module
 */

import { SYS, type SyscallName } from "../src/linux/syscall_numbers.ts";
import {
  PARTLY,
  type PartlyTable,
  REFUSED,
  type RefusedTable,
  SYSCALLS,
} from "../src/linux/syscalls/mod.ts";

const PATH = new URL("linux.md", import.meta.url).pathname;

const HEAD = `# System calls

Every system call of x86-64 Linux, and what of it ScratchVM answers. A call that
is not there gives ENOSYS, or the errno that is named; of most, and of most
parts that a call lacks, the user is told once, and with \`--strict\` the program
ends. What has no effect is taken without a word.

"Done" is what a process can see that has the machine, of one CPU, to itself,
and files that it was allowed.

\`deno task syscalls\` writes this file from the handlers in
[src/linux/syscalls/](../src/linux/syscalls/); what a call lacks is noted there,
beside its handler.
`;

/** What is known of a call. */
interface Row {
  readonly number: string;
  readonly name: string;
  readonly status: string;
  readonly missing: string;
}

function rowOf([name, number]: [string, number]): Row {
  const lacks = (PARTLY as PartlyTable)[name as SyscallName];
  const refusal = (REFUSED as RefusedTable)[name as SyscallName];
  const isThere = SYSCALLS[number] && !refusal;
  return {
    number: `${number}`,
    name,
    status: !isThere ? "not" : lacks ? "partly" : "done",
    missing: refusal ? `all of it: ${refusal}` : lacks ?? "",
  };
}

function table(rows: readonly Row[]): string {
  const titles: Row = {
    number: "number",
    name: "name",
    status: "status",
    missing: "what is missing",
  };
  const keys = ["number", "name", "status", "missing"] as const;
  const all = [titles, ...rows];
  const widths = keys.map((key) =>
    Math.max(...all.map((row) => row[key].length))
  );
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const shown = (row: Row) =>
    line(
      keys.map((key, i) =>
        key === "number"
          ? row[key].padStart(widths[i])
          : row[key].padEnd(widths[i])
      ),
    );
  const rule = widths.map((width, i) =>
    i === 0 ? `${"-".repeat(width - 1)}:` : "-".repeat(width)
  );
  return shown(titles) + line(rule) + rows.map(shown).join("");
}

/** The text of docs/linux.md. */
export function systemCallsText(): string {
  const rows = Object.entries(SYS).sort((a, b) => a[1] - b[1]).map(rowOf);
  const count = (status: string) =>
    rows.filter((row) => row.status === status).length;
  return `${HEAD}
Of ${rows.length} calls ${count("done")} are done, ${
    count("partly")
  } partly, and ${count("not")} not.

${table(rows)}`;
}

if (import.meta.main) Deno.writeTextFileSync(PATH, systemCallsText());
