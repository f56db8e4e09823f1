/**
 * Makes relays with fewer descriptors left than one takes, as the process that
 * `relay_test.ts` starts with a low limit. Prints a line for each number left.
 *
 * @module
 */

import { Relay } from "../../../src/state/transports/relay.ts";

/** More than a relay takes. */
const MOST_LEFT = 8;

function open(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
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

// What is opened once and stays.
await tryWith(MOST_LEFT);
for (let left = 0; left <= MOST_LEFT; left++) {
  const before = open();
  const result = await tryWith(left);
  // Sockets of Node's close a moment after they were told to.
  for (let look = 0; open() > before && look < 1000; look++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  console.log(`${left}: ${result}, ${open() - before} more are open`);
}
