/**
 * The repository that these tests are in, as git finds it.
 *
 * @module
 */

import { ROOT } from "../docs/repository.ts";

/** Where it is. */
export interface Repository {
  /** Its folder. */
  readonly root: string;
  /** The commit that is checked out. */
  readonly head: string;
  /** What git reads of it: of a worktree, the repository is elsewhere. */
  readonly reads: readonly string[];
}

function git(...args: string[]): string | undefined {
  try {
    const words = ["-c", "safe.directory=*", "-C", ROOT, ...args];
    const { success, stdout } = new Deno.Command("git", { args: words })
      .outputSync();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What is known of it; `undefined` where these files are in none. */
export function thisRepository(): Repository | undefined {
  const found = git(
    "rev-parse",
    "--path-format=absolute",
    "--show-toplevel",
    "--git-common-dir",
    "HEAD",
  );
  const [root, common, head] = found?.split("\n") ?? [];
  // One further up is another's.
  if (!head || root !== Deno.realPathSync(ROOT)) return undefined;
  return { root, head, reads: [root, common] };
}
