/**
 * Clocks and sleeps, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

compareTest("timeproc", "clocks and sleeps answer as Linux's");

compareTest("cpu_time", "timers go by CPU time", { args: ["timers"] });
compareTest("cpu_time", "clocks and sleeps go by CPU time", {
  args: ["clocks"],
});
