/**
 * The terminal of a program: how it is set, how large it is, and that this
 * travels.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ScriptConsole, Vm, type VmOptions } from "../../mod.ts";
import { vmText } from "../cli/command.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch } from "../support.ts";

const SIZE = { rows: 30, columns: 100 };

/** What the program prints up to the key, at a terminal of SIZE. */
const BEFORE_KEY = `isatty 1 1 1
tcgetattr 0
canonical 1 echo 1
time 0, waiting: 0 0 1
time 2, waiting: 0 0 1
time 0, at once: 0 0 1
time 2, at once: -1 11 1
size 0: 30 x 100
foreground 1
set foreground 0
tty 1
raw 0
canonical 0 echo 0
tcgets2 0 canonical 1, cc 1
tcsets2 0
canonical 0 echo 0
named 1 0 1 1
/dev/tty 0 1
opened 1
bad pointer -1 Bad address
ready
`;
const AFTER_KEY = "key 1 k, canonical 0\nas before 0\n";

/** A console that is a terminal, and all that was written to it. */
function terminal(): { console: ScriptConsole; text: () => string } {
  let text = "";
  const take = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const console = new ScriptConsole({
    stdout: take,
    stderr: take,
    terminal: SIZE,
  });
  return { console, text: () => text };
}

/** Saves a program at a terminal once it is ready; gives what it wrote. */
async function saveReady(options: VmOptions, image: string): Promise<string> {
  const { console, text } = terminal();
  await using vm = await Vm.create({ ...options, console });
  const end = vm.run();
  await untilReady(text);
  await vm.save(image, { stop: true });
  await end;
  return text();
}

async function untilReady(text: () => string): Promise<void> {
  while (!text().includes("ready\n")) await delay(1);
}

kvmTest(
  "terminal: a script's is set, asked and read as Linux has it",
  async () => {
    const [program] = await guest("terminal");
    const { console, text } = terminal();
    await using vm = await Vm.create({ program, console });
    const end = vm.run();
    await untilReady(text);
    assert(console.terminal!.isRaw);
    console.push("k");
    assertEquals(await end, { kind: "exited", code: 0 });
    assertEquals(text(), BEFORE_KEY + AFTER_KEY);
    assert(!console.terminal!.isRaw);
  },
);

kvmTest(
  "terminal: how it is set is as before in another one after a thaw",
  async () => {
    const [program] = await guest("terminal");
    await using scratch = new Scratch();
    const image = scratch.file("image");
    await saveReady({ program }, image);
    const second = terminal();
    await using vm = await Vm.restore(image, { console: second.console });
    assert(second.console.terminal!.isRaw);
    second.console.push("k");
    assertEquals(await vm.run(), { kind: "exited", code: 0 });
    assertEquals(second.text(), AFTER_KEY);
  },
);

kvmTest(
  "terminal: a read that waits for some time only goes on with it after a thaw",
  async () => {
    const [program] = await guest("timed_read");
    await using scratch = new Scratch();
    const image = scratch.file("image");
    for (const tenths of ["10", "250"]) {
      const before = await saveReady({ program, args: [tenths] }, image);
      const second = terminal();
      await using vm = await Vm.restore(image, { console: second.console });
      if (tenths === "250") second.console.push("k");
      assertEquals(await vm.run(), { kind: "exited", code: 0 });
      assertEquals(
        before + second.text(),
        tenths === "250"
          ? "ready\nread 1, begins with 107, all the time 0\n"
          : "ready\nread 0, begins with 0, all the time 1\n",
      );
    }
  },
);

kvmTest("terminal: without one, requests fail as Linux has it", async () => {
  const [program] = await guest("terminal");
  let text = "";
  const console = new ScriptConsole({
    stdout: (bytes) => void (text += new TextDecoder().decode(bytes)),
  });
  console.end();
  await using vm = await Vm.create({ program, console });
  await vm.run();
  assertStringIncludes(text, "isatty 0 0 0\ntcgetattr -1\n");
  assertStringIncludes(text, "tty 0\n");
});

/** Runs a shell's script in a pseudo-terminal, keys coming from `keys`. */
async function inPty(script: string, keys: string): Promise<string> {
  const child = new Deno.Command("script", {
    args: ["-qec", script, "/dev/null"],
    stdin: "piped",
    stdout: "piped",
    env: { SHELL: "/bin/sh" },
  }).spawn();
  const writer = child.stdin.getWriter();
  let text = "";
  for await (const bytes of child.stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.includes("ready") && keys !== "") {
      await writer.write(new TextEncoder().encode(keys));
      keys = "";
    }
  }
  await writer.close().catch(() => {});
  await child.status;
  return text.replaceAll("\r\n", "\n");
}

kvmTest(
  "vm run: a real terminal is raw while the program says so, then as before",
  async () => {
    const [program] = await guest("terminal");
    const show = "stty -a | grep -o -E -e '-?(icanon|echo) '";
    const script = (command: string) =>
      `stty rows 30 cols 100; ${show}; ${command}; ${show}`;
    const natively = await inPty(script(program), "k");
    const inVm = await inPty(script(vmText("run", program)), "k");
    assertStringIncludes(natively, "raw 0\n");
    assertEquals(inVm, natively);
  },
);
