/**
 * Begins relays with fewer and fewer descriptors left, in a process whose limit
 * is low; prints how it went each time, and how many more are open after it.
 *
 * @module
 */

import { Relay } from "../../../src/state/transports/relay.ts";
import { delay, resources } from "../../support.ts";

/** More than a relay takes. */
const MOST_LEFT = 16;

/** How often it is looked whether what was closed has gone. */
const LOOKS = 200;

using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

/** Begins a relay with so many descriptors left. */
async function begin(left: number): Promise<string> {
  using _peer = await Deno.connect({
    hostname: "127.0.0.1",
    port: listener.addr.port,
  });
  const conn = await listener.accept();
  const fillers: Deno.FsFile[] = [];
  try {
    for (;;) fillers.push(Deno.openSync("/dev/null"));
  } catch {
    // As many as there may be.
  }
  for (const filler of fillers.splice(0, left)) filler.close();
  let result = "begun";
  try {
    const relay = await Relay.create(conn);
    await relay.close();
  } catch {
    result = "refused";
  }
  for (const filler of fillers) filler.close();
  return result;
}

// What stays open from the first time on is the runtime's.
for (const left of [MOST_LEFT, 0, MOST_LEFT]) {
  await begin(left);
  await delay(100);
}
const before = resources().fds;
for (let left = MOST_LEFT; left >= 0; left--) {
  const result = await begin(left);
  for (let i = 0; i < LOOKS && resources().fds > before; i++) await delay(5);
  console.log(`${result} ${resources().fds - before}`);
}
