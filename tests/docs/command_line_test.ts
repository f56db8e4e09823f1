/**
 * README's tables of the command line against the command line.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { OPTIONS } from "../../src/cli/options.ts";
import { STATUS } from "../../src/cli/report.ts";
import { readText } from "./repository.ts";

/** First cells of the rows of the table whose first title is `title`. */
function firstCells(title: string): string[] {
  const lines = readText("README.md").split("\n");
  const start = lines.findIndex((line) =>
    new RegExp(`^\\| ${title} +\\|`).test(line)
  );
  assert(start >= 0, `README.md has no table "${title}"`);
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).map((line) => line.split("|")[1].trim());
}

/** The names of the options in a table. */
function optionsIn(title: string): string[] {
  return firstCells(title).map((cell) => {
    const name = /^`--([a-z-]+)(?:=[^`]+)?`$/.exec(cell)?.[1];
    assert(name !== undefined, cell);
    return name;
  }).sort();
}

/** The names of a command's options. */
function optionsOf(command: keyof typeof OPTIONS): string[] {
  const { boolean, string, collect = [] } = {
    collect: [] as readonly string[],
    ...OPTIONS[command],
  };
  return [...boolean, ...string, ...collect].sort();
}

Deno.test("README.md: it has every option of every command, and no other", () => {
  const shared = optionsIn("option of run, restore and receive")
    .filter((name) => name !== "verbose"); // every command has it
  const run = [...shared, ...optionsIn("option of run")].sort();
  assertEquals(run, optionsOf("run"));
  const restore = [...shared, ...optionsIn("option of restore")].sort();
  assertEquals(restore, optionsOf("restore"));
  const receive = [...shared, ...optionsIn("option of receive")].sort();
  assertEquals(receive, optionsOf("receive"));
  assertEquals(optionsIn("option of inspect"), optionsOf("inspect"));
});

Deno.test("README.md: it has every command", () => {
  const commands = firstCells("command").map((cell) =>
    cell.replace(/^`(\w+).*$/, "$1")
  );
  assertEquals(commands.sort(), Object.keys(OPTIONS).sort());
});

Deno.test("README.md: it has every exit status of the command line's own", () => {
  const statuses: readonly string[] =
    firstCells("exit status").join(" ").match(/\b\d+\b/g) ?? [];
  for (const status of Object.values(STATUS)) {
    assert(statuses.includes(`${status}`), `${status}`);
  }
});
