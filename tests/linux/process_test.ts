/**
 * The process's own system calls, compared with Linux.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, TestVm } from "../support.ts";
import { compareTest } from "./compare.ts";

compareTest("process", "ids, limits, signals and its start are as Linux's", {
  args: ["", "two words", "\u00e4\u20ac", "--", "-x"],
});

compareTest(
  "scheduling",
  "policies, CPUs, rights and barriers are as Linux's",
);

compareTest(
  "identity",
  "who a program is, and what it says of itself, is as Linux's",
);

compareTest("refused", "what there is not has the errno it has on Linux");

for (const how of ["exit", "exit_group", "return"]) {
  for (const status of ["0", "1", "127", "255", "256", "-1", "300"]) {
    compareTest(
      "process",
      `${how} ${status} gives the status it gives on Linux`,
      {
        args: [how, status],
      },
    );
  }
}

for (const signal of [6, 9, 13, 15, 17, 28]) {
  compareTest("process", `signal ${signal} waits until it is unblocked`, {
    args: ["unblock", `${signal}`],
  });
}

/** Signals whose default is to end the program, and some that it is not. */
const RAISED = [
  1,
  2,
  3,
  6,
  8,
  9,
  10,
  11,
  13,
  14,
  15,
  17,
  18,
  23,
  28,
  29,
  31,
];

for (const signal of RAISED) {
  compareTest(
    "process",
    `raising signal ${signal} does what it does on Linux`,
    {
      args: ["raise", `${signal}`],
    },
  );
}

kvmTest(
  "process: the limits a VM begins with are its own, not the host's",
  async () => {
    const [program] = await guest("process");
    await using test = await TestVm.create({ program, args: ["limits"] });
    assertEquals(await test.run(), { kind: "exited", code: 0 });
    const limits = new Map(
      test.output.stdout.trimEnd().split("\n").map((line) => {
        const [which, soft, hard] = line.split(" ");
        return [Number(which), `${soft} ${hard}`];
      }),
    );
    assertEquals(limits.size, 16);
    const own = {
      3: "8388608 -1",
      4: "0 -1",
      7: "1024 1024",
      13: "0 0",
      14: "0 0",
    };
    for (const [which, limit] of limits) {
      assertEquals(
        limit,
        own[which as keyof typeof own] ?? "-1 -1",
        `limit ${which}`,
      );
    }
  },
);
