/**
 * File systems that are mounted for as long as a test needs them. Where none can
 * be mounted it fails: see `lacksMount` of machine.ts.
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
 * Runs `work` while a file system is mounted on a folder.
 *
 * @param type such as "ramfs"
 * @param options as mount(8) has them behind -o
 */
export async function mounted(
  folder: string,
  type: string,
  options: string,
  work: () => void | Promise<void>,
): Promise<void> {
  call("mount", "-t", type, "-o", options, type, folder);
  try {
    await work();
  } finally {
    call("umount", folder);
  }
}

/** Runs `work` in a folder that is a disk of `size`, such as "256k". */
export async function onSmallDisk(
  size: string,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  const folder = scratch.file("tiny");
  Deno.mkdirSync(folder);
  await mounted(folder, "tmpfs", `size=${size}`, () => work(folder));
}
