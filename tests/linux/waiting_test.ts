/**
 * What programs wait with, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

const EPOLL: Readonly<Record<string, string>> = {
  errors: "what Linux refuses is refused",
  level_and_edge: "levels, edges and single shots are told as Linux tells them",
  order: "who is ready comes in Linux's order, and each has its turn",
  nested: "sets are in sets, as deep as Linux lets them",
  threads: "who waits is told of what is added, and of time",
  sockets: "sockets tell of messages and of their end",
};
for (const [part, claim] of Object.entries(EPOLL)) {
  compareTest("epoll", claim, { args: [part] });
}

const EVENTS: Readonly<Record<string, string>> = {
  counters: "counters count, and wait",
  timers: "timers expire, once or again and again, by each clock",
  pipes: "a pipe is made to hold more, or less",
};
for (const [part, claim] of Object.entries(EVENTS)) {
  compareTest("eventfd", claim, { args: [part] });
}

const INOTIFY: Readonly<Record<string, string>> = {
  errors: "what Linux refuses to watch is refused",
  changes: "changes are told as Linux tells them",
};
for (const [part, claim] of Object.entries(INOTIFY)) {
  compareTest("inotify", claim, { args: [part] });
}

for (const kind of ["stream", "datagram", "packets"]) {
  compareTest("socketpair", `${kind}: bytes, ends and errors are Linux's`, {
    args: [kind],
  });
}

compareTest(
  "spoiled",
  "what a call was given is read once, whatever comes in its place",
);
