/**
 * The current folder as it travels, without a vCPU.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { HostPaths, RootFolder } from "../../src/devices/mod.ts";
import { CurrentFolder } from "../../src/linux/current_folder.ts";
import { Scratch } from "../support.ts";

/** How many descriptors this process has. */
function openCount(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** What an image has of it, and what it is after a thaw. */
function thawed(folder: CurrentFolder, paths: HostPaths): CurrentFolder {
  const next = new CurrentFolder(folder.path);
  next.attach(paths);
  return next;
}

Deno.test("current folder: it travels by the path that it has, or as removed", async () => {
  await using scratch = new Scratch();
  await using outside = new Scratch();
  const { path } = scratch;
  const before = openCount();
  using paths = new HostPaths({ read: [path], write: [path] });
  const whileOpen = openCount();
  Deno.mkdirSync(`${path}/d`);
  const folder = new CurrentFolder(`${path}/d`);
  folder.attach(paths);
  assertEquals([folder.path, folder.place], [`${path}/d`, `${path}/d`]);

  Deno.renameSync(`${path}/d`, `${path}/e`);
  Deno.mkdirSync(`${path}/d`);
  const next = thawed(folder, paths);
  for (const one of [folder, next]) {
    assertEquals([one.path, one.place], [`${path}/e`, `${path}/e`]);
  }

  Deno.renameSync(`${path}/e`, `${outside.path}/e`);
  assertEquals(folder.path, `${outside.path}/e`);
  const foreign = thawed(folder, paths);
  assertEquals([foreign.file, foreign.path], [undefined, folder.path]);
  Deno.renameSync(`${outside.path}/e`, `${path}/e`);

  Deno.removeSync(`${path}/e`);
  Deno.mkdirSync(`${path}/e`);
  const removed = thawed(folder, paths);
  for (const one of [folder, removed, thawed(removed, paths)]) {
    assertEquals([one.path, one.place], [`${path}/e (deleted)`, undefined]);
  }

  // A folder may be called so.
  Deno.mkdirSync(`${path}/n (deleted)`);
  const named = new CurrentFolder(`${path}/n (deleted)`);
  named.attach(paths);
  assertEquals(named.place, `${path}/n (deleted)`);

  assertEquals(openCount(), whileOpen + 3);
  for (const one of [folder, next, removed, named]) one.close();
  assertEquals(openCount(), whileOpen);
  assertEquals(named.path, `${path}/n (deleted)`);
  paths[Symbol.dispose]();
  assertEquals(openCount(), before);
});

Deno.test("current folder: one that left the program's root has no place", async () => {
  await using scratch = new Scratch();
  await using outside = new Scratch();
  Deno.mkdirSync(scratch.file("d"));
  const root = new RootFolder(scratch.path);
  using paths = new HostPaths({ read: ["/"], write: [] }, { root });
  const folder = new CurrentFolder("/d");
  folder.attach(paths);
  assertEquals([folder.path, folder.place], ["/d", "/d"]);
  Deno.renameSync(scratch.file("d"), outside.file("d"));
  for (const one of [folder, thawed(folder, paths)]) {
    assertEquals([one.path, one.place], ["/ (deleted)", undefined]);
  }
  Deno.renameSync(outside.file("d"), scratch.file("back"));
  assertEquals([folder.path, folder.place], ["/back", "/back"]);
  folder.close();
});
