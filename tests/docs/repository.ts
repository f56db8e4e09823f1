/**
 * The files of the repository: those that are committed, or would be.
 *
 * @module
 */

/** Where the repository is, without a slash at the end. */
export const ROOT: string = new URL("../..", import.meta.url).pathname
  .replace(/\/$/, "");

/** What .gitignore names: `folder/`, `*.suffix`, or a name. */
const IGNORED: readonly string[] = Deno.readTextFileSync(`${ROOT}/.gitignore`)
  .split("\n").filter((line) => line !== "");

function isIgnored(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return IGNORED.some((pattern) =>
    pattern.endsWith("/")
      ? `${path}/`.startsWith(pattern)
      : pattern.startsWith("*")
      ? name.endsWith(pattern.slice(1))
      : name === pattern
  );
}

/** Paths of all files, from the root, in order; build products left out. */
export function repositoryFiles(folder = ""): string[] {
  const paths: string[] = [];
  for (const entry of Deno.readDirSync(`${ROOT}/${folder}`)) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (path === ".git" || isIgnored(path)) continue;
    if (entry.isDirectory) paths.push(...repositoryFiles(path));
    else if (entry.isFile) paths.push(path);
  }
  return paths.sort();
}

/** The text of a file. */
export function readText(path: string): string {
  return Deno.readTextFileSync(`${ROOT}/${path}`);
}

/** Copies the repository to a folder, as a fresh clone would be. */
export async function copyRepository(to: string): Promise<void> {
  for (const path of repositoryFiles()) {
    const slash = path.lastIndexOf("/");
    if (slash > 0) {
      await Deno.mkdir(`${to}/${path.slice(0, slash)}`, { recursive: true });
    }
    await Deno.copyFile(`${ROOT}/${path}`, `${to}/${path}`);
  }
}
