import { assert } from "@std/assert";

const MIB = 1024 * 1024;
const PROCESS = new URL("memory_process.ts", import.meta.url).href;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

/** How far two runs may be apart: garbage is collected now or then. */
const SLACK_BYTES = 64 * MIB;

/** The most bytes that a process took to send so many MiB through stages. */
async function peakOf(mib: number): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", "--config", CONFIG],
      ...[PROCESS, `${mib}`],
    ],
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return Number(decoder.decode(stdout));
}

Deno.test("stages take no more memory when more goes through them", async () => {
  const little = await peakOf(32);
  const much = await peakOf(1024);
  assert(much < little + SLACK_BYTES, `${little} and ${much} bytes`);
});
