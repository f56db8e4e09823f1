/**
 * Random sequences of system calls: each is answered as Linux answers it.
 *
 * `deno task fuzz` runs many; without it, some. SCRATCHVM_SEED repeats a run.
 *
 * @module
 */

import { kvmTest } from "../kvm_gate.ts";
import { seeded } from "../support.ts";
import { checkFound, checkSequences } from "./both_ways.ts";
import { savedSequence, sequence } from "./calls.ts";
import { FOUND } from "./found.ts";

const isFull = Deno.env.get("SCRATCHVM_FULL") === "1";

/** How many VMs run sequences, and how many each. */
const BATCHES = isFull ? 50 : 1;
const SEQUENCES = isFull ? 300 : 100;
/** Each of these makes another VM. */
const SAVED_SEQUENCES = 8;

kvmTest(
  "sequences: what once differed is answered as on Linux",
  () => checkFound(FOUND),
);

kvmTest("sequences: random calls are answered as on Linux", async () => {
  const random = seeded("sequences");
  for (let i = 0; i < BATCHES; i++) {
    const seed = Math.floor(random() * 2 ** 31);
    await checkSequences(sequence, seed, SEQUENCES);
  }
});

kvmTest(
  "sequences: a save between random calls changes none of them",
  async () => {
    const random = seeded("saved sequences");
    for (let i = 0; i < BATCHES; i++) {
      const seed = Math.floor(random() * 2 ** 31);
      await checkSequences(savedSequence, seed, SAVED_SEQUENCES);
    }
  },
);
