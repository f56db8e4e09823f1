/**
 * A process that memory is moved to: says its URL on standard error, takes one image after the
 * other over the connections of moves, and says each time that it has it.
 *
 * @module
 */

import { FRAME } from "../src/migration/frames.ts";
import { Wire } from "../src/migration/wire.ts";
import { WireSource } from "../src/migration/wire_source.ts";
import { Guard, listenConnections } from "../src/state/mod.ts";
import { readMemory } from "./written_memory.ts";

const acceptor = await listenConnections("tcp://127.0.0.1:0");
console.error(acceptor.name);
for (;;) {
  const link = await acceptor.accept();
  if (!link) break;
  await using wire = new Wire({ link, guard: new Guard("the sender", {}) });
  await wire.working(readMemory(new WireSource(wire)));
  await wire.sendLast(FRAME.prepared, {});
}
