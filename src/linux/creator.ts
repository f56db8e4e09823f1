/**
 * What writes images: its name and version.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };

/** The version of this program: "0.1.0". */
export const VERSION: string = config.version;

/** What an image's header says made it. */
export const CREATOR: string = `ScratchVM ${VERSION}`;
