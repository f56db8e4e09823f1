/**
 * Running a guest program in a VM and natively.
 *
 * @module
 */

import { ScriptConsole, Vm } from "../mod.ts";
import { numbersOf, runCommand } from "./c_programs.ts";

/** What a program in a VM printed. */
export interface GuestOutput {
  /** Standard output. */
  readonly stdout: string;
  /** How often it left the VM. */
  readonly exits: number;
}

/** How a guest is run. */
export interface GuestOptions {
  /** Its arguments. */
  readonly args?: readonly string[];
  /** A folder it may read and write. */
  readonly folder?: string;
  /** The folder that it runs in; default: the current one. */
  readonly cwd?: string;
  /** Memory of the VM, bytes. */
  readonly memoryBytes?: number;
}

/**
 * Runs a program in a VM in this process.
 *
 * @throws {Error} unless it ends with status 0
 */
export async function runGuest(
  program: string,
  options: GuestOptions = {},
): Promise<GuestOutput> {
  const { args, folder = ".", cwd, memoryBytes } = options;
  let stdout = "";
  const decoder = new TextDecoder();
  const script = new ScriptConsole({
    stdout: (bytes) => stdout += decoder.decode(bytes, { stream: true }),
  });
  await using vm = await Vm.create({
    program,
    args,
    // For programs that are named without a folder.
    environment: { PATH: Deno.env.get("PATH") ?? "" },
    cwd,
    memoryBytes,
    console: script,
    allow: { read: ["@system", folder], write: [folder] },
  });
  const end = await vm.run();
  if (end.kind !== "exited" || end.code !== 0) {
    throw new Error(`${program} failed in the VM: ${JSON.stringify(end)}`);
  }
  return { stdout, exits: vm.exits };
}

/** The nanoseconds that a program printed in a VM, as seconds. */
export async function guestSeconds(
  program: string,
  options: GuestOptions = {},
): Promise<number> {
  const { stdout } = await runGuest(program, options);
  return numbersOf(stdout)[0] / 1e9;
}

/** The nanoseconds that a program printed natively, as seconds. */
export async function nativeSeconds(
  program: string,
  args: readonly string[],
): Promise<number> {
  const { stdout } = await runCommand(program, args);
  return numbersOf(stdout)[0] / 1e9;
}
