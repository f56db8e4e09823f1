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
const app = (await buildGuest(["app"])).get("app")!;
const folder = await Deno.makeTempDir({ prefix: "scratchvm-demo-" });

/** Runs the command line in the scratch folder, output shown as it comes. */
async function vm(...args: string[]): Promise<void> {
  console.log(`$ vm ${args.join(" ").replace(app, "app")}`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", cli, ...args],
    cwd: folder,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  console.log();
  if (code !== 0) throw new Error(`vm ${args[0]} ended with status ${code}`);
}

try {
  await vm("run", "--trace-to=stdout", "--on-save=file:vm.img", app);
  await vm("restore", "--trace-to=stdout", "vm.img");
  const { size } = await Deno.stat(`${folder}/vm.img`);
  const text = await Deno.readTextFile(`${folder}/ay_caramba`);
  console.log(`vm.img: ${size} bytes`);
  console.log(`ay_caramba: ${text.length} bytes\n${text.trimEnd()}`);
} finally {
  await Deno.remove(folder, { recursive: true });
}
