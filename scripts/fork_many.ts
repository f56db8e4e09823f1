/**
 * Starts a program once, up to the point where it is warm, and then many copies
 * from there, some at a time, each with a number of its own to factor.
 *
 * `deno run -A scripts/fork_many.ts [AT_A_TIME] [NUMBERS…]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { ScriptConsole, Vm } from "../mod.ts";

const [atATime = "3", ...rest] = Deno.args;
if (![atATime, ...rest].every((text) => /^[1-9]\d{0,8}$/.test(text))) {
  console.error("usage: fork_many.ts [AT_A_TIME] [NUMBERS…], from 1 on");
  Deno.exit(2);
}
const folder = await Deno.makeTempDir({ prefix: "scratchvm-fork-" });
const image = `${folder}/warm.img`;
const numbers = rest.length > 0
  ? rest
  : ["12", "97", "360", "1001", "65536", "510510", "720720", "999999"];

/** Runs the program until it has made its table. */
async function warmUp(): Promise<void> {
  const program = (await buildGuest(["factors"])).get("factors")!;
  await using vm = await Vm.create({
    program,
    memoryBytes: 64 * 2 ** 20,
    onSave: async (vm) => {
      await vm.save(image);
      return "stop";
    },
  });
  await vm.run();
}

/** A copy that goes on from the warm state with one number. */
async function factor(number: string): Promise<string> {
  const decoder = new TextDecoder();
  let printed = "";
  const take = (bytes: Uint8Array) =>
    void (printed += decoder.decode(bytes, { stream: true }));
  const script = new ScriptConsole({ stdout: take, stderr: take });
  script.push(`${number}\n`);
  script.end();
  await using vm = await Vm.restore(image, { console: script });
  await vm.run();
  return printed.trimEnd();
}

/** Takes one number after the other, until none is left. */
async function worker(left: Iterable<string>): Promise<void> {
  for (const number of left) console.log(await factor(number));
}

/** Makes the warm state, and as many workers as may run at a time. */
async function main(): Promise<void> {
  await warmUp();
  console.log(`${numbers.length} copies, ${atATime} at a time:`);
  const left = numbers.values(); // one for all workers
  const workers = Array.from({ length: Number(atATime) }, () => worker(left));
  await Promise.all(workers);
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
await Deno.remove(folder, { recursive: true });
