/**
 * An image that is packed, encrypted with a passphrase and signed on its way
 * to a file; and what becomes of it with the right passphrase, with a wrong
 * one, and when somebody changed one bit.
 *
 * `deno run -A scripts/encrypted_and_signed.ts [PASSPHRASE] [FILE]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import {
  decrypt,
  encrypt,
  generateSigningKeys,
  sign,
  StageError,
  verifySignature,
  Vm,
  zstdCompress,
  zstdDecompress,
} from "../mod.ts";

const folder = await Deno.makeTempDir({ prefix: "scratchvm-secret-" });
const [passphrase = "seven boats on a paper lake", path = `${folder}/vm.svm`] =
  Deno.args;
const { privateKey, publicKey } = await generateSigningKeys();

/** Runs the program until its first SAVE(), which makes the file. */
async function save(): Promise<void> {
  const program = (await buildGuest(["primes"])).get("primes")!;
  await using vm = await Vm.create({
    program,
    args: ["2000", "1000", "save"],
    onSave: async (vm) => {
      const file = await Deno.create(path);
      await vm.save()
        .pipeThrough(zstdCompress())
        .pipeThrough(encrypt({ passphrase }))
        .pipeThrough(sign({ privateKey }))
        .pipeTo(file.writable);
      return "stop";
    },
  });
  await vm.run();
  console.log("saved: packed, encrypted and signed");
}

/** Goes on with the program, or says why that cannot be. */
async function restore(what: string, passphrase: string): Promise<void> {
  try {
    const file = await Deno.open(path);
    await using vm = await Vm.restore(
      file.readable
        .pipeThrough(verifySignature({ publicKey }))
        .pipeThrough(decrypt({ passphrase }))
        .pipeThrough(zstdDecompress()),
    );
    console.log(`${what}: restored`);
    await vm.run();
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    console.log(`${what}: refused, ${error.code}: ${error.message}`);
  }
}

/** Makes the file, and reads it in three ways. */
async function main(): Promise<void> {
  await save();
  await restore("right passphrase", passphrase);
  await restore("wrong passphrase", `${passphrase}!`);
  const bytes = await Deno.readFile(path);
  bytes[bytes.length >> 1] ^= 1;
  await Deno.writeFile(path, bytes);
  await restore("one bit changed", passphrase);
}

await main().catch((error: Error) => {
  console.error(`vm: ${error.message}`);
  Deno.exitCode = 1;
});
await Deno.remove(folder, { recursive: true });
