/**
 * What a user allows by way of a link, which a program may have made.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { FilesError } from "../../src/devices/mod.ts";
import { openPaths, openRoot } from "../../src/linux/program_parts.ts";
import { resources, Scratch } from "../support.ts";

/** A folder to write, one beside it, and links in the first. */
class Folders extends Scratch {
  readonly work = this.file("work");
  readonly private = this.file("private");

  constructor() {
    super();
    for (const name of ["work/sub", "work/own", "private/data"]) {
      Deno.mkdirSync(this.file(name), { recursive: true });
    }
    Deno.symlinkSync("../private", `${this.work}/out`);
    Deno.symlinkSync(`${this.private}/data`, `${this.work}/sub/out`);
    Deno.symlinkSync("own", `${this.work}/in`);
    Deno.symlinkSync("out", `${this.work}/further`);
    Deno.symlinkSync("work", this.file("alias"));
  }
}

const OUT = ["out", "out/data", "sub/out", "in/../further", "further/data"];

for (const link of OUT) {
  Deno.test(`allowed links: ${link} leads out of a folder that the program may write`, async () => {
    await using folders = new Folders();
    const { work } = folders;
    const before = resources().fds;
    for (const folder of [work, folders.file("alias")]) {
      const path = `${folder}/${link}`;
      for (
        const allow of [
          { read: [path], write: [folder] },
          { read: [], write: [path, folder] },
        ]
      ) {
        const error = assertThrows(
          () => openPaths(allow, openRoot()),
          FilesError,
          "leads out of it",
        );
        assertEquals(error.code, "FILES_DENIED");
        assertEquals(
          error.hint,
          `name what is meant: ${Deno.realPathSync(path)}`,
        );
      }
    }
    assertEquals(resources().fds, before);
  });
}

Deno.test("allowed links: others may be named, and so may what is only read", async () => {
  await using folders = new Folders();
  const { work } = folders;
  const private_ = folders.private;
  for (
    const allow of [
      { read: [`${work}/in`], write: [work] },
      { read: [folders.file("alias")], write: [work] },
      { read: [private_], write: [work, `${work}/sub`] },
      { read: [`${work}/out`, work], write: [] },
      { read: [`${work}/out`], write: [`${work}/sub`] },
      { read: [], write: ["/", `${work}/out`] },
    ]
  ) openPaths(allow, openRoot())[Symbol.dispose]();
});
