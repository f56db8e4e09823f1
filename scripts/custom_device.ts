/**
 * A device of one's own: /dev/dice, whose state travels. A program throws it,
 * is saved in the middle, and throws the same whether it goes on or is restored.
 *
 * `deno run -A scripts/custom_device.ts [SEED]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { defineDevice, Vm } from "../mod.ts";

const [seed = "7"] = Deno.args;
if (![seed].every((text) => /^[1-9]\d{0,8}$/.test(text))) {
  console.error("usage: custom_device.ts [SEED], a number from 1 on");
  Deno.exit(2);
}
const folder = await Deno.makeTempDir({ prefix: "scratchvm-dice-" });

/** Each read of /dev/dice is one throw: a digit from 1 to 6. */
const dice = defineDevice({
  kind: "dice",
  version: 1,
  contained: true,
  config: (values) => ({
    seed: values.number("seed", { min: 1, max: 2 ** 31 - 2 }),
  }),
  create({ config }, saved?: { last: number }) {
    // What an image holds, anybody may have written.
    if (saved && !(saved.last > 0 && saved.last < 2 ** 31 - 1)) {
      throw new RangeError("last must be from 1 to 2147483646");
    }
    let last = saved?.last ?? config.seed;
    const read = () => {
      last = last * 48271 % (2 ** 31 - 1); // Park and Miller, 1993
      return new TextEncoder().encode(`${1 + last % 6}`);
    };
    return { files: { "/dev/dice": () => ({ read }) }, dump: () => ({ last }) };
  },
});

/** Saves a program between its throws, and goes on in two ways. */
async function main(): Promise<void> {
  const program = (await buildGuest(["device"])).get("device")!;
  const image = `${folder}/vm.img`;
  console.log("one VM throws, is saved, and goes on:");
  await using first = await Vm.create({
    program,
    args: "open /dev/dice read 1 read 1 save read 1 read 1 read 1".split(" "),
    devices: [dice({ seed: Number(seed) })],
    onSave: async (vm) => void await vm.save(image),
  });
  await first.run();
  console.log("another is restored from the image:");
  await using second = await Vm.restore(image, {
    devices: [dice({ seed: Number(seed) })],
  });
  await second.run();
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
await Deno.remove(folder, { recursive: true });
