/**
 * Commands in a mount namespace of their own, where /dev is what a test says.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { lacksNamespace } from "../machine.ts";
import type { Outcome } from "../support.ts";
import { quoted, shell } from "./command.ts";

/** Prepares a /dev of only the ordinary files. */
export const BARE_DEV: string =
  "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && " +
  "mknod -m 666 /dev/zero c 1 5 && mknod -m 666 /dev/urandom c 1 9";

/** What a test lacks that runs commands in such a namespace. */
export const NO_NAMESPACE: string | undefined = lacksNamespace(BARE_DEV);

/** Runs a command after `prepare`, in a mount namespace. */
export async function inNamespace(
  prepare: string,
  command: string,
): Promise<Outcome> {
  const within = (script: string) => `unshare --mount sh -c ${quoted(script)}`;
  const can = await shell(within(prepare));
  assertEquals(can.status, 0, can.stderr);
  return await shell(within(`${prepare} && exec ${command}`));
}
