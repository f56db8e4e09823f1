import { assertEquals } from "@std/assert";
import { readText, repositoryFiles, ROOT } from "./repository.ts";

/** Hosts that packages come from; put together, so that this file has none. */
const REGISTRIES: readonly string[] = [
  ["registry", "npmjs", "org"],
  ["registry", "yarnpkg", "com"],
  ["registry", "npmmirror", "com"],
  ["npm", "jsr", "io"],
].map((parts) => parts.join("."));

/** Folders of somebody's machine, put together likewise. */
const MACHINE_FOLDERS: readonly string[] = ["work", "root"]
  .map((name) => `/${name}/`);

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A path that begins here, and is not the end of a longer one. */
function absolute(path: string): RegExp {
  return new RegExp(`(?<![\\w./…-])${escaped(path)}`);
}

/** What a text holds that it must not. */
function unwanted(text: string): string[] {
  const found = REGISTRIES.filter((host) => text.includes(host));
  const folders = [...MACHINE_FOLDERS];
  // A root such as /app may be part of anything; a longer one may not.
  if (ROOT.split("/").length > 2) folders.push(`${ROOT}/`);
  return [...found, ...folders.filter((path) => absolute(path).test(text))];
}

Deno.test("repository: no file names a registry's host or a machine's folder", () => {
  const files = repositoryFiles();
  const found = files.flatMap((path) =>
    unwanted(readText(path)).map((word) => `${path}: ${word}`)
  );
  assertEquals(found, []);
  for (const path of ["deno.lock", "deno.json", ".ci/run", "README.md"]) {
    assertEquals(files.includes(path), true, path);
  }
});

Deno.test("repository: a registry's host and a machine's folder are found", () => {
  for (const host of REGISTRIES) {
    assertEquals(unwanted(`"tarball": "https://${host}/x.tgz"`), [host]);
  }
  for (const folder of MACHINE_FOLDERS) {
    assertEquals(unwanted(`see ${folder}x`), [folder]);
    assertEquals(unwanted(`see a${folder}x`), []);
  }
});

Deno.test("repository: deno.lock tells of packages by name and digest alone", () => {
  assertEquals(/https?:/.test(readText("deno.lock")), false);
});
