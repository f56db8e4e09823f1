/**
 * The process's own system calls, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

compareTest("process", "ids, limits, signals and its start are as Linux's", {
  args: ["", "two words", "\u00e4\u20ac", "--", "-x"],
});

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
