/**
 * System calls on descriptors, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";

compareTest("descriptors", "dup, fcntl and close answer as Linux's");
compareTest("poll", "poll, select and their kin answer as Linux's");
