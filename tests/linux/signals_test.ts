/**
 * Signals, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

const PARTS: Readonly<Record<string, string>> = {
  simple: "handlers are called, once where they ask for that",
  infos: "handlers are told who sent what",
  masks: "blocked signals wait, and handlers block their own",
  realtime: "queued signals come in order, with their values",
  registers: "a handler leaves registers as they were",
  stacks: "handlers run on the stack that is for them",
  faults: "faults are told of, and can be handled",
  interrupted: "calls that wait are interrupted or made again",
  temporary: "masks for one call hold for that",
  directed: "a signal to the process finds a thread that takes it",
  timers: "interval timers send signals, also to a program that computes",
  posix_timers: "timers send signals with their values and overruns",
  hostile: "a frame that makes no sense is a fault of the program's",
  broken_pipe: "a write that nobody will read sends SIGPIPE",
  ends: "a signal that nobody handles ends the program",
  blocked_fault: "a fault whose signal is blocked ends the program",
};

for (const [part, claim] of Object.entries(PARTS)) {
  compareTest("signals", claim, { args: [part] });
}
