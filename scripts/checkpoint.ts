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

const [ms = "100", keep = "3", limit = "4000000", where] = Deno.args;
if (![ms, keep, limit].every((text) => /^[1-9]\d{0,8}$/.test(text))) {
  console.error(
    "usage: checkpoint.ts [MS] [KEEP] [LIMIT] [FOLDER], numbers from 1 on",
  );
  Deno.exit(2);
}
const scratch = await Deno.makeTempDir({ prefix: "scratchvm-checkpoint-" });
const folder = where ?? scratch;

/** A console that shows what is printed, and remembers the last line. */
function remembering(line: string): { console: ScriptConsole; line: string } {
  const decoder = new TextDecoder();
  const stdout = (bytes: Uint8Array) => {
    seen.line = decoder.decode(bytes).trimEnd();
    console.log(`  ${seen.line}`);
  };
  const seen = { console: new ScriptConsole({ stdout }), line };
  return seen;
}

/** Computes, rolls back, computes again. */
async function main(): Promise<void> {
  const program = (await buildGuest(["primes"])).get("primes")!;
  const args = [limit, `${Math.ceil(Number(limit) / 20)}`];
  const first = remembering("nothing yet");
  await using vm = await Vm.create({ program, args, console: first.console });
  const ended = vm.run();
  const kept: { image: string; line: string }[] = [];
  for (let n = 1;; n++) {
    const image = `${folder}/${n}.img`;
    const saved = await vm.save(image).catch((error) => {
      if (!vm.end) throw error; // else there is nothing left to save
    });
    if (!saved) break;
    console.log(`checkpoint ${n}`);
    kept.push({ image, line: first.line });
    if (kept.length > Number(keep)) await Deno.remove(kept.shift()!.image);
    const pause = new Promise((resolve) => setTimeout(resolve, Number(ms)));
    await Promise.race([pause, ended]);
  }
  await ended;
  if (kept.length === 0) throw new Error("It ended before a checkpoint");

  const [{ image, line }] = kept;
  console.log(`back to ${image.replace(/.*\//, "")}: ${line}`);
  const second = remembering(line);
  await using again = await Vm.restore(image, { console: second.console });
  await again.run();
  console.log(first.line === second.line ? "same result" : "another result!");
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
await Deno.remove(scratch, { recursive: true });
