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
