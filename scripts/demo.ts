/**
 * The lab in one command: saves the lab's program in one process, thaws it in
 * another, and shows what both printed and the file that it wrote.
 *
 * `deno task demo`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";

const cli = new URL("../src/cli/main.ts", import.meta.url).pathname;

/** Runs the command line in `folder`, output shown as it comes. */
async function vm(folder: string, ...args: string[]): Promise<void> {
  const shown = args.map((word) => word.replace(/^.*\/build\//, ""));
  console.log(`$ vm ${shown.join(" ")}`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", cli, ...args],
    cwd: folder,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  console.log();
  if (code !== 0) {
    throw new Error(`The demo ends: vm ${args[0]} gave status ${code}`);
  }
}

/** Saves, restores and shows what came of it. */
async function demo(folder: string): Promise<void> {
  const app = (await buildGuest(["app"])).get("app")!;
  await vm(folder, "run", "--trace-to=stdout", "--on-save=file:vm.img", app);
  await vm(folder, "restore", "--trace-to=stdout", "vm.img");
  const { size } = await Deno.stat(`${folder}/vm.img`);
  const text = await Deno.readTextFile(`${folder}/ay_caramba`);
  console.log(`vm.img: ${size} bytes`);
  console.log(`ay_caramba: ${text.length} bytes\n${text.trimEnd()}`);
}

const folder = await Deno.makeTempDir({ prefix: "scratchvm-demo-" });
try {
  await demo(folder);
} catch (error) {
  // What a user can do about it is in the message, not in where it is from.
  console.error(`vm: ${(error as Error).message}`);
  Deno.exitCode = 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}
