/**
 * Clocks and sleeps, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

compareTest("timeproc", "clocks and sleeps answer as Linux's");
