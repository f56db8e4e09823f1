/**
 * Programs that put others in their place, compared with Linux.
 *
 * @module
 */

import { guest } from "../support.ts";
import { kvmTest } from "../kvm_gate.ts";
import { checkMoving } from "../vm/moving.ts";
import { compareTest } from "./compare.ts";

compareTest("exec", "another program begins in its place as on Linux");

compareTest(
  "exec",
  "one that begins nowhere is ended as by Linux",
  { args: ["nowhere"] },
  ["Cannot run ./nowhere: it begins where no program can be"],
);

kvmTest(
  "exec: it goes on wherever it is frozen, also between two programs",
  async () => {
    const [program] = await guest("exec");
    let moves = 0;
    const next = () => ({ afterCalls: 9 + 7 * (moves++ % 5) });
    await checkMoving("exec", [], next, [program]);
  },
);
