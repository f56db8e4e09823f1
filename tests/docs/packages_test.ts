/**
 * What is said to be installed for the table of programs, against the table.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { PROGRAMS } from "../programs/table.ts";
import { readText } from "./repository.ts";

/** What every Debian has (`Essential: yes`). */
const ESSENTIAL = new Set([
  "bash",
  "coreutils",
  "dash",
  "diffutils",
  "findutils",
  "grep",
  "gzip",
  "sed",
  "tar",
]);

/** The words of a list of packages. */
function wordsOf(text: string | undefined): Set<string> {
  assert(text, "there is no list of packages");
  return new Set(text.split(/[\s\\]+/).filter((word) => word !== ""));
}

Deno.test("programs.md: what it has installed is all that the table needs", () => {
  const text = readText("docs/programs.md");
  const listed = wordsOf(
    text.match(/^apt-get install --no-install-recommends ([^`]*)/m)?.[1],
  );
  const needed = PROGRAMS.map((program) => program.package);
  assertEquals(needed.filter((name) => !listed.has(name)), []);
});

Deno.test(".ci/run: it installs what the quick programs of the table need", () => {
  const listed = wordsOf(
    readText(".ci/run").match(/packages=\(([^)]*)\)/)?.[1],
  );
  const needed = PROGRAMS.filter((program) => program.quick)
    .map((program) => program.package);
  assertEquals(
    needed.filter((name) => !listed.has(name) && !ESSENTIAL.has(name)),
    [],
  );
});
