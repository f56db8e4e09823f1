/**
 * The lab from a script: a program writes half of a file, is saved, and is
 * restored to write the other half, all in one process.
 *
 * `deno run -A scripts/save_and_restore.ts [IMAGE]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { lineTracer, Vm } from "../mod.ts";

const folder = await Deno.makeTempDir({ prefix: "scratchvm-save-" });
const [image = `${folder}/vm.img`] = Deno.args;
const tracer = lineTracer((line) => console.log(`  ${line}`));

/** Runs the program until it asks to be saved. */
async function save(): Promise<void> {
  const program = (await buildGuest(["app"])).get("app")!;
  console.log("a VM runs the program:");
  await using vm = await Vm.create({
    program,
    cwd: folder,
    allow: { read: [folder], write: [folder] },
    tracer,
    onSave: async (vm) => {
      const { totalBytes } = await vm.save(image);
      console.log(`  SAVE(): an image of ${totalBytes} bytes`);
      return "stop";
    },
  });
  const { kind } = await vm.run();
  console.log(`it ended: ${kind}`);
}

/** Goes on from the image, in a VM of its own. */
async function restore(): Promise<void> {
  console.log("another VM goes on from there:");
  const allow = { read: [folder], write: [folder] };
  await using vm = await Vm.restore(image, { allow, tracer });
  const { kind } = await vm.run();
  console.log(`it ended: ${kind}`);
}

/** Saves, restores, and shows the file that both wrote. */
async function main(): Promise<void> {
  await save();
  await restore();
  const text = await Deno.readTextFile(`${folder}/ay_caramba`);
  console.log(`the file:\n${text.trimEnd()}`);
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
await Deno.remove(folder, { recursive: true });
