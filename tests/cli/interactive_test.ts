/**
 * Programs that people sit in front of: used, resized, saved, and thawed in
 * another terminal of another size.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTestUnless } from "../kvm_gate.ts";
import { delay, Scratch } from "../support.ts";
import { vmWords } from "./command.ts";
import { Pty, resize } from "./pty.ts";

const SMALL = { rows: 12, columns: 80 };
const LARGER = { rows: 20, columns: 90 };
const OTHER = { rows: 30, columns: 100 };

/** Has a VM saved, and goes on with it in another terminal. */
async function inAnother(
  first: Pty,
  pid: number,
  scratch: Scratch,
): Promise<Pty> {
  Deno.kill(pid, "SIGUSR2");
  await first.until(/saved to vm\.img/);
  assertEquals((await first.end()).code, 0);
  const second = new Pty(vmWords("restore", "vm.img"), scratch.path, OTHER);
  await second.begun();
  return second;
}

function programTest(
  program: string,
  what: string,
  body: (scratch: Scratch) => Promise<void>,
): void {
  const isThere = ["/usr/bin", "/bin"].some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false;
    }
  });
  const lacks = isThere ? undefined : program;
  kvmTestUnless(lacks, `terminal: ${what}`, async () => {
    await using scratch = new Scratch();
    const lines = Array.from({ length: 200 }, (_, i) => `line ${i + 1}\n`);
    Deno.writeTextFileSync(scratch.file("lines"), lines.join(""));
    await body(scratch);
  });
}

/** `vm run` of a program at a terminal. */
function running(scratch: Scratch, ...words: string[]): Pty {
  const options = ["--env=TERM=xterm", "--memory=256M"];
  return new Pty(vmWords("run", ...options, ...words), scratch.path, SMALL);
}

programTest(
  "python3",
  "python3's prompt goes on in another",
  async (scratch) => {
    await using first = running(scratch, "/usr/bin/python3", "-q");
    const { pid } = await first.begun();
    await first.until(/>>> /);
    await first.type("kept = 2**100\rprint(kept)\r");
    await first.until(/1267650600228229401496703205376/);
    await first.until(/>>> /);
    await first.type("while True: pass\r");
    await first.until(/\.\.\. /);
    await first.type("\r");
    // While a key is looked at python3 notes ^C, and waits for another key.
    await delay(1000);
    await first.type("\x03");
    await first.until(/KeyboardInterrupt/);
    await first.until(/>>> /);
    await using second = await inAnother(first, pid, scratch);
    await second.type("import os; print(kept, os.get_terminal_size())\r");
    await second.until(/376 os\.terminal_size\(columns=100, lines=30\)/);
    await second.until(/>>> /);
    await second.type("raise SystemExit(7)\r");
    assertEquals((await second.end()).code, 7);
  },
);

programTest("less", "less fills windows of any size", async (scratch) => {
  await using first = running(scratch, "/usr/bin/less", "lines");
  const { terminal, pid } = await first.begun();
  await first.until(/line 11\b/);
  await resize(terminal, LARGER);
  await first.until(/line 19\b/);
  await first.type("/line 100\r");
  await first.until(/line 118\b/);
  await using second = await inAnother(first, pid, scratch);
  await second.until(/line 100\b[^]*line 128\b/);
  await second.type("q");
  assertEquals((await second.end()).code, 0);
});

programTest(
  "busybox",
  "vi edits a file from terminal to terminal",
  async (scratch) => {
    await using first = running(scratch, "busybox", "vi", "lines");
    const { pid } = await first.begun();
    await first.until(/line 11\b/);
    await first.type("iFIRST \x1b");
    await first.until(/FIRST/);
    await using second = await inAnother(first, pid, scratch);
    await second.until(/FIRST[^]*line 29\b/);
    await second.type("A LAST\x1b");
    await second.until(/LAST/);
    await second.type(":wq\r");
    assertEquals((await second.end()).code, 0);
    const text = await Deno.readTextFile(scratch.file("lines"));
    assertEquals(text.split("\n").slice(0, 2), ["FIRST line 1 LAST", "line 2"]);
  },
);

programTest("busybox", "top draws itself until it is left", async (scratch) => {
  await using first = running(scratch, "busybox", "top", "-d", "1");
  const { pid } = await first.begun();
  await first.until(/Mem: [^]*busybox top/);
  await using second = await inAnother(first, pid, scratch);
  await second.until(/Mem: [^]*busybox top/);
  await second.type("q");
  assertEquals((await second.end()).code, 0);
});
