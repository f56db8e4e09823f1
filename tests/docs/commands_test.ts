/**
 * Every command that a document shows is run, in a copy of the repository.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { kvmTest } from "../kvm_gate.ts";
import { Scratch } from "../support.ts";
import { type CodeBlock, codeBlocks, fileNameOf } from "./code_blocks.ts";
import { copyRepository, readText, repositoryFiles } from "./repository.ts";

/** The documents that show commands. */
const DOCUMENTS = repositoryFiles().filter((path) =>
  /^(\w+\.md|docs\/.+\.md)$/.test(path)
);

/** How README calls Deno on a machine without it. */
const NPX_DENO = `npx -y deno@${Deno.version.deno}`;

/**
 * Commands that are shown and not run here. Each must be a task that exists,
 * and must be shown somewhere.
 */
const NOT_RUN: Readonly<Record<string, string>> = {
  "deno task test": "it is what runs this test: it would not end",
  "deno task ok": "it runs `deno task test`",
  "deno task check": "it is no test: `.ci/run` and `deno task ok` run it",
  "deno task fuzz": "it runs for long; `deno task test` runs some of it",
  "deno task bench": "it measures for many minutes; --quick is run",
};

/** The commands of a block, with Deno called as it is installed here. */
function commandsOf(block: CodeBlock): string[] {
  return block.text.split("\n")
    .map((line) => line.replace(NPX_DENO, "deno"));
}

/** Whether what was printed is what the document shows. */
function isAsShown(printed: string, shown: string): boolean {
  const lines = shown.trimEnd().split("\n").map((line) =>
    line === "…" ? "(?:.*\n)*?.*" : line.split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")
  );
  return new RegExp(`^${lines.join("\n")}\n?$`).test(printed);
}

/** Runs lines of a shell script; what it printed, on both streams together. */
async function runShell(
  lines: readonly string[],
  cwd: string,
  path: string,
): Promise<{ printed: string; code: number }> {
  const script = `exec 2>&1\n${lines.join("\n")}\n`;
  const { code, stdout } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", script],
    cwd,
    stdin: "null",
    stderr: "null",
    env: { PATH: path, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const printed = new TextDecoder().decode(stdout);
  // `deno task` says first what it runs.
  return { printed: printed.replace(/^Task .*\n/gm, ""), code };
}

/** A PATH on which `deno` is the Deno that runs this. */
async function pathWithDeno(folder: string): Promise<string> {
  await Deno.mkdir(folder);
  await Deno.symlink(Deno.execPath(), `${folder}/deno`);
  return `${folder}:${Deno.env.get("PATH")}`;
}

/** Follows a document: writes the files it shows, runs its commands. */
async function follow(document: string): Promise<string[]> {
  await using scratch = new Scratch();
  const copy = scratch.file("copy");
  await Deno.mkdir(copy);
  await copyRepository(copy);
  const path = await pathWithDeno(scratch.file("bin"));
  const wrong: string[] = [];
  let printed = "";
  let ran = false;
  for (const block of codeBlocks(readText(document))) {
    const where = `${document}:${block.line}`;
    const name = fileNameOf(block);
    if (name !== undefined) {
      await Deno.writeTextFile(`${copy}/${name}`, `${block.text}\n`);
    }
    if (block.info === "sh") {
      const lines = commandsOf(block).filter((line) => !(line in NOT_RUN));
      ran = lines.length > 0;
      const result = await runShell(lines, copy, path);
      printed = result.printed;
      if (result.code !== 0) {
        wrong.push(`${where}: exit status ${result.code}\n${printed}`);
      }
      continue;
    }
    if (block.info === "text" && block.followsBlock && ran) {
      if (!isAsShown(printed, block.text)) {
        wrong.push(`${where}: it shows\n${block.text}\nbut is\n${printed}`);
      }
    }
    ran = false;
  }
  return wrong;
}

for (const document of DOCUMENTS) {
  const isShell = codeBlocks(readText(document)).some((b) => b.info === "sh");
  if (!isShell) continue;
  kvmTest(
    `${document}: its commands work and print what it shows`,
    async () => {
      const wrong = await follow(document);
      assertEquals(wrong.join("\n\n"), "");
    },
  );
}

Deno.test("documents: what is shown and not run is a task, and is shown", () => {
  const shown = DOCUMENTS.flatMap((document) =>
    codeBlocks(readText(document)).filter((block) => block.info === "sh")
      .flatMap(commandsOf)
  );
  for (const command of Object.keys(NOT_RUN)) {
    assert(shown.includes(command), `no document shows ${command}`);
    assert(command.replace("deno task ", "") in config.tasks, command);
  }
  assert(readText(".ci/run").includes("task check"));
});

Deno.test("documents: README and .ci/run name the Deno that runs this", () => {
  const commands = codeBlocks(readText("README.md"))[0].text.split("\n");
  assertEquals(commands, [`${NPX_DENO} task demo`, `${NPX_DENO} task test`]);
  assert(readText(".ci/run").includes(`${NPX_DENO} task test`));
});

Deno.test("documents: output that differs from what is shown is found", () => {
  assert(isAsShown("saved (123 bytes)\n3\n", "saved (… bytes)\n3"));
  assert(isAsShown("a\nb\nc\nd\n", "a\n…\nd"));
  assert(!isAsShown("a\nb\nc\nd\n", "a\n…\nc"));
  assert(!isAsShown("saved (123 bytes)\n4\n", "saved (… bytes)\n3"));
  assert(!isAsShown("3\n3\n", "3"));
  assert(!isAsShown("", "3"));
});

Deno.test("documents: a command that fails is found", async () => {
  const path = Deno.env.get("PATH")!;
  assertEquals(await runShell(["echo a", "false", "echo b"], "/", path), {
    printed: "a\n",
    code: 1,
  });
});

Deno.test("documents: every link leads to a file of the repository", () => {
  const files = repositoryFiles();
  const wrong = DOCUMENTS.flatMap((document) => {
    const folder = document.slice(0, document.lastIndexOf("/") + 1);
    return [...readText(document).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, to]) => new URL(to, `file:///${folder}`).pathname.slice(1))
      .filter((to) => !files.some((path) => `${path}/`.startsWith(`${to}`)))
      .map((to) => `${document}: ${to}`);
  });
  assertEquals(wrong, []);
});
