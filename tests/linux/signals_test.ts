/**
 * Signals, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

const PARTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  signals: {
    simple: "handlers are called, once where they ask for that",
    infos: "handlers are told who sent what",
    masks: "blocked signals wait, and handlers block their own",
    realtime: "queued signals come in order, with their values",
    directed: "a signal to the process finds a thread that takes it",
    broken_pipe: "a write that nobody will read sends SIGPIPE",
    ends: "a signal that nobody handles ends the program",
  },
  signal_faults: {
    registers: "a handler leaves registers as they were",
    stacks: "handlers run on the stack that is for them",
    faults: "faults are told of, and can be handled",
    ports: "an access to a port is a fault, and is handled as one",
    hostile: "a frame that makes no sense is a fault of the program's",
    blocked_fault: "a fault whose signal is blocked ends the program",
  },
  signal_waits: {
    interrupted: "calls that wait are interrupted or made again",
    temporary: "masks for one call hold for that",
    timers: "interval timers send signals, also to a program that computes",
    posix_timers: "timers send signals with their values and overruns",
  },
  stop: {
    itself: "a program that stops goes on at SIGCONT",
    waiting: "calls that wait outlast a stop, or are interrupted by it",
    pending: "SIGCONT takes back what would stop, and handlers keep it going",
  },
  signalfd: {
    errors: "what Linux refuses is refused",
    reads: "signals are read in order, with all that they say",
    waiting: "who waits for a signal is told of it",
  },
};

for (const [program, parts] of Object.entries(PARTS)) {
  for (const [part, claim] of Object.entries(parts)) {
    compareTest(program, claim, { args: [part], vm: { onStop: () => {} } });
  }
}
