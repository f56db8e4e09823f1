/**
 * Saves images to a file, for tests that limit or kill the process that does.
 *
 * @module
 */

import { ImageError, saveImageFile } from "../../src/state/mod.ts";
import { component, CREATOR } from "./sample_image.ts";

const [path, howOften] = Deno.args;
const piece = new Uint8Array(2 * 1024 ** 2).fill(7);

/** An image of 8 MiB. */
const large = component("memory", "ram", () => ({
  answer: "many",
  parts: [1, 2, 3, 4].map((value) => ({ value, data: [piece] })),
}));

Deno.stdout.writeSync(new TextEncoder().encode("."));
do {
  try {
    await saveImageFile(path, [large], { creator: CREATOR });
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    console.log(`${error.code}: ${error.message}`);
    Deno.exit(1);
  }
} while (howOften === "forever");
