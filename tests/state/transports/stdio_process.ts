/**
 * What runs in a process of its own, for the standard streams.
 *
 * @module
 */

import { openOrigin, openTarget } from "../../../mod.ts";

const [what] = Deno.args;
try {
  if (what === "copy") {
    await using origin = await openOrigin("-");
    await using target = await openTarget("-");
    for await (const chunk of origin.readable) await target.write(chunk);
    await target.commit();
  } else {
    await using target = await openTarget("-");
    await target.write(new TextEncoder().encode("not committed"));
    if (what === "endless") {
      for (;;) await target.write(new Uint8Array(65536));
    }
  }
  // Both streams are the process's still.
  console.log("");
  console.error("still open");
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  console.error(`${code}: ${message}`);
}
