/**
 * A stage of one's own in a pipeline: a plain TransformStream that counts bytes
 * that are zero, before and behind the stage that packs an image.
 *
 * `deno run -A scripts/custom_stage.ts [FILE]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { Vm, zstdCompress, zstdDecompress } from "../mod.ts";

const folder = await Deno.makeTempDir({ prefix: "scratchvm-stage-" });
const [path = `${folder}/vm.img.zst`] = Deno.args;

/** Hands bytes on as they are, and says at the end how many were zero. */
function countZeros(where: string): TransformStream<Uint8Array, Uint8Array> {
  let total = 0;
  let zeros = 0;
  return new TransformStream({
    transform(chunk, controller) {
      total += chunk.length;
      for (const byte of chunk) if (byte === 0) zeros++;
      controller.enqueue(chunk);
    },
    flush() {
      const percent = (100 * zeros / total).toFixed(1);
      console.log(`${where}: ${total} bytes, ${percent} % of them zero`);
    },
  });
}

/** Saves a program through the stages, and restores it. */
async function main(): Promise<void> {
  const program = (await buildGuest(["primes"])).get("primes")!;
  await using first = await Vm.create({
    program,
    args: ["2000", "1000", "save"],
    onSave: async (vm) => {
      const file = await Deno.create(path);
      await vm.save()
        .pipeThrough(countZeros("the image"))
        .pipeThrough(zstdCompress())
        .pipeThrough(countZeros("packed"))
        .pipeTo(file.writable);
      return "stop";
    },
  });
  await first.run();

  const file = await Deno.open(path);
  const image = file.readable
    .pipeThrough(zstdDecompress())
    .pipeThrough(countZeros("unpacked"));
  await using second = await Vm.restore(image);
  console.log("restored:");
  await second.run();
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
await Deno.remove(folder, { recursive: true });
