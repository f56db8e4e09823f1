/**
 * A disk that is soon full.
 *
 * @module
 */

import { run } from "../cli/command.ts";
import { Scratch } from "../support.ts";

/** Runs `work` in a file system of 256 KiB, if it may be mounted. */
export async function inTiny(
  work: (folder: string) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  const folder = scratch.file("tiny");
  Deno.mkdirSync(folder);
  const { status, stderr } = await run([
    ...["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder],
  ]);
  if (status !== 0) {
    return console.log(`SKIPPED: no file system can be mounted: ${stderr}`);
  }
  try {
    await work(folder);
  } finally {
    await run(["umount", folder]);
  }
}
