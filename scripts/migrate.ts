/**
 * Moves a program to another VM while it computes, over TCP, and shows how far
 * the move is. Both VMs are in this process; a receiver elsewhere is the same.
 *
 * `deno run -A scripts/migrate.ts [URL] [LIMIT]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import {
  listenForVms,
  migrate,
  type MigrationProgress,
  type Phase,
  ScriptConsole,
  Vm,
} from "../mod.ts";

const [url = "tcp://127.0.0.1:0", limit = "4000000"] = Deno.args;
if (!/^(tcp|unix):/.test(url) || !/^[1-9]\d{0,8}$/.test(limit)) {
  console.error("usage: migrate.ts [URL] [LIMIT], tcp: or unix:, from 1 on");
  Deno.exit(2);
}

/** A console that shows where a line was printed, and tells of the first. */
function shownAs(
  side: string,
): { console: ScriptConsole; began: Promise<void> } {
  const decoder = new TextDecoder();
  const { promise: began, resolve } = Promise.withResolvers<void>();
  const stdout = (bytes: Uint8Array) => {
    console.log(`${side}: ${decoder.decode(bytes).trimEnd()}`);
    resolve();
  };
  return { console: new ScriptConsole({ stdout }), began };
}

/** Moves the program from one VM to the other, and runs it to its end there. */
async function main(): Promise<void> {
  const program = (await buildGuest(["primes"])).get("primes")!;
  const here = shownAs("here");
  const there = shownAs("there");
  await using vm = await Vm.create({
    program,
    args: [limit, `${Math.ceil(Number(limit) / 10)}`],
    console: here.console,
  });
  await using receiver = await listenForVms(url);
  const ended = vm.run();
  await here.began;
  let last: Phase | undefined;
  const onProgress = ({ phase, sentBytes }: MigrationProgress) => {
    if (phase !== last) console.log(`move: ${phase}, ${sentBytes} bytes sent`);
    last = phase;
  };
  const [{ totalBytes }, arrived] = await Promise.all([
    migrate(vm, receiver.name, { onProgress }),
    receiver.receive({ console: there.console }),
  ]);
  await using moved = arrived!;
  console.log(`move: done, ${totalBytes} bytes`);
  console.log(`here: it is ${(await ended).kind}`);
  console.log("there:", await moved.run());
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
