/**
 * Commands in a mount namespace of their own, where /dev is what a test says.
 *
 * @module
 */

import type { Outcome } from "../support.ts";
import { quoted, shell } from "./command.ts";

/** Prepares a /dev of only the ordinary files. */
export const BARE_DEV: string =
  "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && " +
  "mknod -m 666 /dev/zero c 1 5 && mknod -m 666 /dev/urandom c 1 9";

/** Runs a command after `prepare`, in a mount namespace; undefined if it cannot. */
export async function inNamespace(
  prepare: string,
  command: string,
): Promise<Outcome | undefined> {
  const within = (script: string) => `unshare --mount sh -c ${quoted(script)}`;
  const can = await shell(within(prepare));
  if (can.status !== 0) {
    console.log(`SKIPPED: this needs root and unshare: ${can.stderr}`);
    return undefined;
  }
  return await shell(within(`${prepare} && exec ${command}`));
}
