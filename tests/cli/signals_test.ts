import { assert, assertEquals } from "@std/assert";
import { Signals } from "../../src/cli/signals.ts";
import { delay } from "../support.ts";

/** Sends this process a signal, and waits until it was heard. */
async function send(signal: Deno.Signal): Promise<void> {
  let isHeard = false;
  const hear = () => isHeard = true;
  Deno.addSignalListener(signal, hear);
  Deno.kill(Deno.pid, signal);
  while (!isHeard) await delay(1);
  Deno.removeSignalListener(signal, hear);
  // Other listeners of it have their turn.
  await delay(10);
}

Deno.test("signals: one that nobody answers yet is answered later, once", async () => {
  using signals = new Signals();
  const answered: string[] = [];
  await send("SIGUSR2");
  await send("SIGUSR2");
  // Who answers others does not take it.
  signals.answer({ SIGINT: () => void answered.push("int") });
  assertEquals(answered, []);
  await send("SIGUSR2");
  signals.answer({
    SIGINT: () => void answered.push("int"),
    SIGUSR2: () => void answered.push("usr2"),
  });
  assertEquals(answered, ["usr2"]);
  await send("SIGUSR2");
  assertEquals(answered, ["usr2", "usr2"]);
  signals.answer({ SIGUSR2: () => void answered.push("again") });
  assertEquals(answered.length, 2);
  assert(!signals.wasInterrupted);
});
