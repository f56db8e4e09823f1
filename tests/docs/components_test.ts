/**
 * ARCHITECTURE.md's table of a VM's state against what a real image holds.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { decode } from "cborg";
import { ImageFile, type Section } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";
import { readText } from "./repository.ts";

/** Names in code style in the rows of the tables under a heading. */
function namesInTables(heading: string): Set<string> {
  const section = readText("ARCHITECTURE.md").split(`\n## ${heading}\n`)[1]
    ?.split("\n## ")[0];
  assert(section, `ARCHITECTURE.md has no section "${heading}"`);
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return new Set(
    rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, n]) => n)),
  );
}

/** The sections of a real image: a program that asks to be saved, with a pipe. */
async function savedSections(): Promise<readonly Section[]> {
  const [program] = await guest("pipe_half");
  await using scratch = new Scratch();
  const path = scratch.file("vm.img");
  await using test = await TestVm.create({
    program,
    onSave: async (vm) => {
      await vm.save(path);
      return "stop";
    },
  });
  await test.run();
  using image = await ImageFile.open(path);
  return image.sections;
}

const HEADING = "What a VM's state is";

kvmTest(
  "ARCHITECTURE.md: its table has an image's components, and no other",
  async () => {
    const sections = await savedSections();
    const rows = readText("ARCHITECTURE.md")
      .matchAll(/^\| `([\w-]+)` +\| `([\w-]+)` +\| `/gm);
    assertEquals(
      [...rows].map(([, kind, id]) => `${kind} ${id}`),
      [...new Set(sections.map(({ kind, id }) => `${kind} ${id}`))],
    );
  },
);

kvmTest(
  "ARCHITECTURE.md: its tables have every field of every component",
  async () => {
    const named = namesInTables(HEADING);
    const missing = (await savedSections()).flatMap(({ kind, payload }) =>
      Object.keys(decode(payload))
        .filter((key) => !named.has(key)).map((key) => `${kind}: ${key}`)
    );
    assertEquals(missing, []);
  },
);

Deno.test("ARCHITECTURE.md: a name that its tables lack is missed", () => {
  const named = namesInTables(HEADING);
  assert(named.has("vcpu0"));
  assert(!named.has("vcpu1"));
});
