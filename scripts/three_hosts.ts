/**
 * A program goes round three hosts: it starts on A, moves to B, to C and back
 * to A, each time that it calls SAVE(), and its result is right. Each host is a
 * process of its own, and they meet in a folder of sockets.
 *
 * `deno run -A scripts/three_hosts.ts [LIMIT]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { listenForVms, migrate, ScriptConsole, Vm } from "../mod.ts";

/** Who comes after whom. */
const NEXT: Record<string, string> = { A: "B", B: "C", C: "A" };

/** What a VM on a host does: it shows where it is, and moves on at SAVE(). */
function onHost(name: string, folder: string) {
  const decoder = new TextDecoder();
  const stdout = (bytes: Uint8Array) =>
    console.log(`${name}: ${decoder.decode(bytes).trimEnd()}`);
  const onSave = async (vm: Vm) => {
    await migrate(vm, `unix:${folder}/${NEXT[name]}`);
    return "stop" as const;
  };
  return { console: new ScriptConsole({ stdout }), onSave };
}

/** Hosts B and C: takes the program that comes, and runs it until it leaves. */
async function host(name: string, folder: string): Promise<void> {
  await using receiver = await listenForVms(`unix:${folder}/${name}`);
  await using vm = await receiver.receive(onHost(name, folder));
  await vm?.run();
}

/** Host A: starts the others and the program, and has it back in the end. */
async function main(limit: number, folder: string): Promise<void> {
  const program = (await buildGuest(["primes"])).get("primes")!;
  await using receiver = await listenForVms(`unix:${folder}/A`);
  const script = new URL(import.meta.url).pathname;
  const start = (name: string) => {
    const args = ["run", "-A", script, "host", name, folder];
    return new Deno.Command(Deno.execPath(), { args }).spawn();
  };
  await using b = start("B");
  await using c = start("C");
  const lost = new AbortController();
  const others = [b, c].map(async ({ status }) => {
    if (!(await status).success) lost.abort(new Error("A host was lost"));
  });
  while ([...Deno.readDirSync(folder)].length < 3) {
    lost.signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const args = [`${limit}`, `${Math.ceil(limit / 4)}`, "save"];
  await using vm = await Vm.create({ program, args, ...onHost("A", folder) });
  await vm.run();
  await using back = await receiver.receive({
    ...onHost("A", folder),
    signal: lost.signal,
  });
  console.log("A: it is back");
  console.log("A: it ended:", await back?.run());
  await Promise.all(others);
}

const [role = "4000", name, meeting] = Deno.args;
if (role !== "host" && !/^[1-9]\d{0,8}$/.test(role)) {
  console.error("usage: three_hosts.ts [LIMIT], a number from 1 on");
  Deno.exit(2);
}
const folder = role === "host"
  ? meeting
  : await Deno.makeTempDir({ prefix: "scratchvm-hosts-" });
const done = role === "host" ? host(name, folder) : main(Number(role), folder);
await done.catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
if (role !== "host") await Deno.remove(folder, { recursive: true });
