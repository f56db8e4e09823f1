/**
 * How long a process takes to its first output.
 *
 * @module
 */

import { secondsSince } from "./benchmark.ts";

/**
 * Starts a process and waits for its first output; then it is ended.
 *
 * @param input its standard input
 * @returns seconds from its start
 * @throws {Error} when it prints nothing
 */
export async function firstOutput(
  command: string,
  args: readonly string[],
  input = "",
): Promise<number> {
  const started = performance.now();
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const given = writer.write(new TextEncoder().encode(input));
  given.catch(() => {});
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const seconds = secondsSince(started);
  await reader.cancel();
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
  // What it did not read goes with it.
  await writer.close().catch(() => {});
  await child.status;
  if (!value) throw new Error(`${command} ${args.join(" ")} printed nothing`);
  return seconds;
}
