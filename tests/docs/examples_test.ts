/**
 * Examples that need KVM, which `deno test --doc` must not run: their types are
 * checked everywhere, and they are run where KVM is.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch } from "../support.ts";
import { codeBlocks, fileNameOf, jsdocBlocks } from "./code_blocks.ts";
import { readText, repositoryFiles, ROOT } from "./repository.ts";

/** An example and where it stands. */
interface Example {
  readonly where: string;
  readonly text: string;
}

const SOURCES = repositoryFiles().filter((path) =>
  path === "mod.ts" || /^(src|std|guest|scripts|plugins)\/.*\.ts$/.test(path)
);

/** Languages whose blocks Deno would run. */
const RUN_BY_DENO = /^(ts|tsx|js|jsx|mts|mjs|cts|cjs|typescript|javascript)\b/;

/** Code blocks of the sources' JSDoc. */
function examples(): (Example & { info: string })[] {
  return SOURCES.flatMap((path) =>
    jsdocBlocks(readText(path)).map(({ info, text, line }) => ({
      where: `${path}:${line}`,
      text,
      info,
    }))
  );
}

const GUARDED = examples().filter(({ info }) => info === "ts ignore");

async function deno(
  args: readonly string[],
  cwd: string,
): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

const CONFIG = `--config=${ROOT}/deno.json`;

Deno.test("examples: each is tagged as one that is run, here or by Deno", () => {
  const odd = examples().filter(({ info }) =>
    RUN_BY_DENO.test(info) && info !== "ts" && info !== "ts ignore"
  );
  assertEquals(odd.map(({ where, info }) => `${where}: ${info}`), []);
  assert(GUARDED.length > 0);
});

Deno.test("examples: those that need KVM have no type errors", async () => {
  await using scratch = new Scratch();
  const names = GUARDED.map((example, i) => {
    Deno.writeTextFileSync(scratch.file(`${i}.ts`), example.text);
    return `${i}.ts`;
  });
  const { success, text } = await deno(
    ["check", CONFIG, ...names],
    scratch.path,
  );
  assert(success, text);
});

for (const { where, text } of GUARDED) {
  kvmTest(`examples: the one at ${where} runs`, async () => {
    await guest("app", "hello");
    await using scratch = new Scratch();
    await Deno.mkdir(scratch.file("guest"));
    await Deno.symlink(`${ROOT}/guest/build`, scratch.file("guest/build"));
    await Deno.writeTextFile(scratch.file("example.ts"), text);
    const run = await deno(["run", "-A", CONFIG, "example.ts"], scratch.path);
    assert(run.success, run.text);
    assert(run.text.trim() !== "", "it shows nothing");
  });
}

Deno.test("README.md: each program it shows is one that it runs", () => {
  const blocks = codeBlocks(readText("README.md"));
  const commands = blocks.filter(({ info }) => info === "sh")
    .map(({ text }) => text).join("\n");
  const scripts = blocks.filter(({ info }) => RUN_BY_DENO.test(info));
  assert(scripts.length > 0);
  for (const block of scripts) {
    const name = fileNameOf(block);
    assert(name !== undefined && commands.includes(name), `line ${block.line}`);
  }
});
