/**
 * Disks that are soon full, for tests of what happens then.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Scratch } from "./support.ts";

function call(command: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

/**
 * Runs `work` in a folder that is a disk of `size`, such as "256k". Where none
 * can be mounted it fails: see `lacksMount` of machine.ts.
 */
export async function onSmallDisk(
  size: string,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  const folder = scratch.file("tiny");
  Deno.mkdirSync(folder);
  call("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder);
  try {
    await work(folder);
  } finally {
    call("umount", folder);
  }
}
