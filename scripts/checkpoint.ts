/**
 * Saves a computing program every MS milliseconds and keeps the last KEEP
 * images. When it has ended, it is rolled back to the oldest of them, computes
 * the rest again, and comes to the same result.
 *
 * `deno run -A scripts/checkpoint.ts [MS] [KEEP] [LIMIT] [FOLDER]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { ScriptConsole, Vm } from "../mod.ts";

const scratch = await Deno.makeTempDir({ prefix: "scratchvm-checkpoint-" });
const [ms = "100", keep = "3", limit = "4000000", folder = scratch] = Deno.args;

/** A console that shows what is printed, and remembers the last line. */
function remembering(): { console: ScriptConsole; line: string } {
  const decoder = new TextDecoder();
  const stdout = (bytes: Uint8Array) => {
    seen.line = decoder.decode(bytes).trimEnd();
    console.log(`  ${seen.line}`);
  };
  const seen = { console: new ScriptConsole({ stdout }), line: "nothing yet" };
  return seen;
}

/** Saves the VM again and again until its program ends: the images kept. */
async function checkpoints(vm: Vm, ended: Promise<unknown>): Promise<string[]> {
  const images: string[] = [];
  for (let n = 1;; n++) {
    const pause = new Promise((resolve) => setTimeout(resolve, Number(ms)));
    await Promise.race([pause, ended]);
    const image = `${folder}/${n}.img`;
    const saved = await vm.save(image).catch((error) => {
      if (!vm.end) throw error; // else it had ended just before
    });
    if (!saved) return images;
    images.push(image);
    console.log(`checkpoint ${n}`);
    if (images.length > Number(keep)) await Deno.remove(images.shift()!);
  }
}

/** Computes, rolls back, computes again. */
async function main(): Promise<void> {
  const program = (await buildGuest(["primes"])).get("primes")!;
  const args = [limit, `${Math.ceil(Number(limit) / 20)}`];
  const first = remembering();
  await using vm = await Vm.create({ program, args, console: first.console });
  const ended = vm.run();
  const images = await checkpoints(vm, ended);
  await ended;
  if (images.length === 0) throw new Error("It ended before a checkpoint");

  console.log(`kept: ${images.map((path) => path.replace(/.*\//, ""))}`);
  console.log(`back to ${images[0].replace(/.*\//, "")}:`);
  const second = remembering();
  await using again = await Vm.restore(images[0], { console: second.console });
  await again.run();
  console.log(first.line === second.line ? "same result" : "another result!");
}

try {
  await main();
} catch (error) {
  console.error(`vm: ${(error as Error).message}`);
  Deno.exitCode = 1;
} finally {
  await Deno.remove(scratch, { recursive: true });
}
