/**
 * What tests may need of the machine besides /dev/kvm. Each says what of it is
 * missing; a test that needs it is then skipped, under a name that says so.
 *
 * @module
 */

import { quoted } from "./cli/command.ts";

/** What is missing when a shell cannot do `script`. */
function missing(what: string, script: string): string | undefined {
  const { success, stderr } = new Deno.Command("sh", { args: ["-c", script] })
    .outputSync();
  if (success) return undefined;
  console.error(
    `Tests are skipped that need ${what}: ${
      new TextDecoder().decode(stderr).trim()
    }`,
  );
  return what;
}

/** A file system may be mounted. */
export function lacksMount(): string | undefined {
  return missing(
    "right to mount",
    `set -e; folder=$(mktemp -d); trap 'rmdir "$folder"' EXIT
     mount -t tmpfs -o size=64k tmpfs "$folder"; umount "$folder"`,
  );
}

/** An overlay may be mounted, its layers on a disk of its own. */
export function lacksOverlay(): string | undefined {
  return missing(
    "overlays",
    `folder=$(mktemp -d) && trap 'rmdir "$folder"' EXIT &&
     mount -t tmpfs -o size=64k tmpfs "$folder" &&
     cd "$folder" && mkdir low up work all &&
     mount -t overlay -o lowerdir=low,upperdir=up,workdir=work overlay all
     result=$?; umount "$folder/all"; cd /; umount "$folder"; exit $result`,
  );
}

/** A command may be run, in a mount namespace of its own, after `prepare`. */
export function lacksNamespace(prepare: string): string | undefined {
  return missing(
    "mount namespaces",
    `unshare --mount sh -c ${quoted(prepare)}`,
  );
}

/**
 * Something may be run before which `prefix` stands, which gives up rights of
 * root's; who has none need not.
 */
export function lacksPrefix(prefix: string): string | undefined {
  if (Deno.uid() !== 0) return undefined;
  return missing(prefix.split(" ")[0], `${prefix} true`);
}

/**
 * Registers a test. Where something is missing that it needs it is ignored,
 * under a name that says so.
 */
export function testUnless(
  lacks: string | undefined,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test({
    name: lacks ? `SKIPPED no ${lacks}: ${name}` : name,
    ignore: lacks !== undefined,
    fn,
  });
}
