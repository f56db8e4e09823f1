/**
 * Programs that wait, lock and take signals, moved at random system calls: what
 * they are told is what they are told when nothing moves them.
 *
 * @module
 */

import { kvmTest } from "../kvm_gate.ts";
import { seeded } from "../support.ts";
import { checkMoving } from "./moving.ts";

/** Parts of guest programs whose output does not tell the time. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  epoll: ["errors", "level_and_edge", "order", "nested", "sockets"],
  eventfd: ["counters"],
  locks: [""],
  signal_faults: ["registers", "stacks", "faults"],
  signalfd: ["reads"],
  signals: ["simple", "masks", "realtime", "directed", "broken_pipe"],
  socketpair: ["stream", "datagram", "packets"],
};

/** Most calls from one move to the next. */
const MOST_CALLS = 24;

for (const [name, parts] of Object.entries(PARTS)) {
  for (const part of parts) {
    const args = part === "" ? [] : [part];
    const title = [name, ...args].join(" ");
    kvmTest(`freeze: ${title} is moved at random system calls`, () => {
      const random = seeded(`freeze ${title}`);
      return checkMoving(name, args, () => ({
        afterCalls: 1 + Math.floor(random() * MOST_CALLS),
      }));
    });
  }
}
