/**
 * ARCHITECTURE.md's account of a VM's state against what a real image holds.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { decode } from "cborg";
import { ImageFile, type Section } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { Scratch } from "../support.ts";
import { readText, repositoryFiles } from "./repository.ts";
import { saveImage } from "./saved_image.ts";

/** A section of ARCHITECTURE.md, without its heading. */
function sectionOf(heading: string): string {
  const section = readText("ARCHITECTURE.md").split(`\n## ${heading}\n`)[1]
    ?.split("\n## ")[0];
  assert(section, `ARCHITECTURE.md has no section "${heading}"`);
  return section;
}

/** The fields that the items of a section's lists say that things are saved in. */
function fieldsInLists(heading: string): Set<string> {
  const items = sectionOf(heading).replaceAll("\n  ", " ").split("\n");
  const heads = items.map((item) =>
    /^- \*\*[^*]+\*\* \(([^)]+)\)/.exec(item)?.[1]
  );
  return new Set(
    heads.flatMap((head = "") =>
      [...head.matchAll(/`([^`]+)`/g)].map(([, name]) => name)
    ),
  );
}

/**
 * The sections of a real image: a program that asks to be saved, with a pipe and
 * a device; those of the device itself left out.
 */
async function savedSections(): Promise<readonly Section[]> {
  await using scratch = new Scratch();
  const path = scratch.file("vm.img");
  await saveImage(path);
  using image = await ImageFile.open(path);
  return image.sections.filter(({ kind }) => kind !== "counter");
}

const HEADING = "What a VM's state is";

kvmTest(
  "ARCHITECTURE.md: its table has an image's components, and no other",
  async () => {
    const sections = await savedSections();
    const rows = sectionOf(HEADING)
      .matchAll(/^\| `([\w-]+)` +\| `([\w-]+)` +\|/gm);
    assertEquals(
      [...rows].map(([, kind, id]) => `${kind} ${id}`),
      [...new Set(sections.map(({ kind, id }) => `${kind} ${id}`))],
    );
  },
);

kvmTest(
  "ARCHITECTURE.md: its lists have every field of every component",
  async () => {
    const named = fieldsInLists(HEADING);
    const missing = (await savedSections()).flatMap(({ kind, payload }) =>
      Object.keys(decode(payload))
        .filter((key) => !named.has(key)).map((key) => `${kind}: ${key}`)
    );
    assertEquals(missing, []);
  },
);

Deno.test("ARCHITECTURE.md: each component is defined where its table says", () => {
  const rows = [
    ...sectionOf(HEADING)
      .matchAll(/^\| `([\w-]+)` .*\| (src\/[\w/]+\.ts) +\|$/gm),
  ];
  assert(rows.length > 0);
  for (const [, kind, path] of rows) {
    assert(readText(path).includes(`kind: "${kind}",`), `${kind}: ${path}`);
  }
});

Deno.test("ARCHITECTURE.md: every file that it names is there", () => {
  const files = repositoryFiles();
  const named = readText("ARCHITECTURE.md").matchAll(/src\/[\w/]+\.ts/g);
  const missing = [...named].map(([path]) => path)
    .filter((path) => !files.includes(path));
  assertEquals(missing, []);
});

Deno.test("ARCHITECTURE.md: a name that its lists lack is missed", () => {
  const named = fieldsInLists(HEADING);
  assert(named.has("tscKhz"));
  assert(!named.has("vcpu1"));
});
