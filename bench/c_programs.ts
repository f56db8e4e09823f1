/**
 * Building and running the C programs that ScratchVM is measured against.
 *
 * @module
 */

const SOURCES = new URL("c/", import.meta.url).pathname;
const FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11"];

/** A command that did what it should. */
export interface Done {
  /** Standard output. */
  readonly stdout: string;
  /** How long it took from its start to its end, seconds. */
  readonly seconds: number;
}

/**
 * Runs a command.
 *
 * @throws {Error} when it cannot be run, or fails
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<Done> {
  const started = performance.now();
  const { success, code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const seconds = (performance.now() - started) / 1000;
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(
      `${command} ${args.join(" ")} ended with status ${code}: ${
        decoder.decode(stderr)
      }`,
    );
  }
  return { stdout: decoder.decode(stdout), seconds };
}

/** The numbers that a program printed, one a line. */
export function numbersOf(stdout: string): number[] {
  return stdout.trim().split("\n").map(Number);
}

/**
 * Builds all of bench/c.
 *
 * @param folder takes the programs
 * @throws {Error} when there is no compiler, or it refuses one of them
 */
export async function buildC(folder: string): Promise<void> {
  for (const { name } of Deno.readDirSync(SOURCES)) {
    if (!name.endsWith(".c")) continue;
    const output = `${folder}/${name.slice(0, -2)}`;
    try {
      await runCommand("gcc", [...FLAGS, "-o", output, SOURCES + name]);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Error(
        "Cannot build the C programs to compare with: there is no gcc; install it (Debian: apt-get install gcc libc6-dev)",
      );
    }
  }
}
