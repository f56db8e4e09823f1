/**
 * What a side says while it works.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FRAME } from "../../src/migration/frames.ts";
import { Wire } from "../../src/migration/wire.ts";
import { Guard, type Link } from "../../src/state/mod.ts";

/** A little longer than it takes a side to say that it is alive. */
const WORK_MS = 3500;

/** A connection that notes the kinds of the frames that are sent. */
class NotingLink implements Link {
  readonly kinds: number[] = [];
  read = () => Promise.resolve(undefined);
  closeWrite = () => Promise.resolve();
  close = () => Promise.resolve();

  write(chunk: Uint8Array): Promise<void> {
    // A header, or what an empty payload takes.
    if (chunk.length === 16) this.kinds.push(chunk[4]);
    return Promise.resolve();
  }
}

Deno.test("wire: a side that works says so once there is somebody to tell", async () => {
  const working = async (begun?: Promise<void>) => {
    const link = new NotingLink();
    await using wire = new Wire({ link, guard: new Guard("the peer", {}) });
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, WORK_MS);
    await wire.working(promise, begun);
    return link.kinds;
  };
  // A peer that never reads must not be told again and again.
  const [told, untold] = await Promise.all([
    working(),
    working(new Promise(() => {})),
  ]);
  assertEquals(told, [FRAME.alive]);
  assertEquals(untold, []);
});
