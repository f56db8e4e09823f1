/**
 * Programs of several threads, frozen and thawed.
 *
 * @module
 */

import { kvmTest } from "../kvm_gate.ts";
import { seeded } from "../support.ts";
import { checkMoving } from "./moving.ts";

/** Parts of guest/tests/threads.c whose output does not tell the time. */
const PARTS = ["many", "conditions", "robust", "semaphores", "raw"];

/** How often one is moved at most where moments are chosen. */
const MOVES = 10;

for (const part of PARTS) {
  kvmTest(
    `freeze: threads (${part}) are moved at random system calls`,
    () => {
      const random = seeded(`freeze threads ${part}`);
      return checkMoving("threads", [part], () => ({
        afterCalls: 1 + Math.floor(random() * 40),
      }));
    },
  );
}

for (const part of ["preempted", "registers"]) {
  kvmTest(`freeze: threads (${part}) are moved at random moments`, () => {
    const random = seeded(`freeze threads ${part}`);
    // Where a VM is slow, it would get nowhere if it were moved for ever.
    let left = MOVES;
    return checkMoving(
      "threads",
      [part],
      () => ({ afterMs: left-- > 0 ? random() * 30 : 1e9 }),
    );
  });
}
