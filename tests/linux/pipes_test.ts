/**
 * Pipes, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

compareTest("pipes", "full, empty and closed ones answer as Linux's");
compareTest("pipes", "a write that nobody reads ends the program", {
  args: ["sigpipe"],
});

const SPLICE: Readonly<Record<string, string>> = {
  errors: "what Linux refuses to move is refused",
  moves: "bytes move between pipes, files and sockets",
  packets: "packets stay apart in a pipe that keeps them",
  flags: "reads and writes take the flags of preadv2",
  in_the_middle: "what is done in part when a signal comes is told in full",
};
for (const [part, claim] of Object.entries(SPLICE)) {
  compareTest("splice", claim, { args: [part] });
}
