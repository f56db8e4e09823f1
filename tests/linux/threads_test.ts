/**
 * Threads, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

const PARTS: Readonly<Record<string, string>> = {
  many: "threads count under a mutex, each with storage of its own",
  conditions: "conditions wake, and time out",
  preempted: "threads that make no system call are preempted",
  registers: "each thread has floating-point registers of its own",
  robust: "a mutex whose owner ended says so to the next",
  pending: "who waits for a mutex that a thread gave up as it ended is woken",
  semaphores: "barriers and semaphores work",
  raw: "futex gives the results and errors it gives on Linux",
  calls: "clone and clone3 refuse what Linux refuses",
  first_ends: "the program goes on when its first thread ends",
  other_exits: "any thread can end the program, with its status",
};

for (const [part, claim] of Object.entries(PARTS)) {
  compareTest("threads", claim, { args: [part] });
}

compareTest("kept", "calls that wait go on with a file that another closes", {
  args: ["closed"],
});
compareTest("futex_pi", "futexes are handed from owner to owner", {
  args: ["raw"],
});
compareTest("futex_pi", "mutexes that hand on priorities work", {
  args: ["mutexes"],
});

const AT_MANY: Readonly<Record<string, string>> = {
  errors: "what Linux refuses is refused, and time passes",
  woken: "any of many futexes ends the wait for them",
  interrupted: "signals end it, or have it begin anew",
};
for (const [part, claim] of Object.entries(AT_MANY)) {
  compareTest("futex_waitv", claim, { args: [part] });
}
