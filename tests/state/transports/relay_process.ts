/**
 * Makes relays with fewer descriptors left than one takes, as the process that
 * `relay_test.ts` starts with a low limit. Prints a line for each number left.
 *
 * @module
 */

import { Relay } from "../../../src/state/transports/relay.ts";

/** More than a relay takes. */
const MOST_LEFT = 8;

/** What is open, by descriptor; not what it takes to look. */
function open(): Map<string, string> {
  const all = new Map<string, string>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      all.set(name, Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // That was the one to look with.
    }
  }
  return all;
}

using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const { port } = listener.addr as Deno.NetAddr;

async function pair(): Promise<[Deno.Conn, Deno.Conn]> {
  const connecting = Deno.connect({ hostname: "127.0.0.1", port });
  const accepted = await listener.accept();
  return [accepted, await connecting];
}

/** Takes all descriptors but so many. */
function takeAllBut(left: number): Disposable {
  const files: Deno.FsFile[] = [];
  try {
    for (;;) files.push(Deno.openSync("/dev/null"));
  } catch {
    // That was the last.
  }
  for (const file of files.splice(0, left)) file.close();
  return {
    [Symbol.dispose]: () => files.forEach((file) => file.close()),
  };
}

async function tryWith(left: number): Promise<string> {
  const [outer, peer] = await pair();
  using _peer = peer;
  using _taken = takeAllBut(left);
  try {
    const relay = await Relay.create(outer);
    await relay.close();
    return "made";
  } catch (error) {
    return (error as Error).message.includes("os error 24") ||
        /EMFILE/.test((error as Error).message)
      ? "too many open files"
      : `${error}`;
  }
}

// What is opened once and stays: what Deno listens for signals with, whenever
// it gets to it, and what a relay takes.
Deno.addSignalListener("SIGUSR1", () => {});
await tryWith(MOST_LEFT);
for (let left = 0; left <= MOST_LEFT; left++) {
  const before = open();
  const result = await tryWith(left);
  // Sockets of Node's close a moment after they were told to.
  for (let look = 0; open().size > before.size && look < 1000; look++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const after = open();
  const more = [...after].filter(([fd, to]) => before.get(fd) !== to)
    .map(([fd, to]) => ` (${fd}: ${to})`).join("");
  const count = after.size - before.size;
  console.log(
    `${left}: ${result}, ${count} more are open${count > 0 ? more : ""}`,
  );
}
// The listener would keep it from ending.
Deno.exit();
