/**
 * The VMM's own terminal, without a VM: a pseudo-terminal that script(1) makes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ScriptTerminal, TERMIOS_BYTES, TTY } from "../../src/devices/mod.ts";

const MODULE = new URL("../../src/devices/terminal.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Whether the terminal is canonical (bit 1 of c_lflag), as text. */
const SHOW = `
  const look = () => {
    const seen = new Uint8Array(${TERMIOS_BYTES});
    const result = hostTerminal.ioctl(0, ${TTY.getAttributes}, seen);
    return result < 0 ? result : seen[12] >> 1 & 1;
  };`;

/** Runs TypeScript at a pseudo-terminal: what it prints. */
async function atTerminal(code: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      file,
      `import { hostTerminal } from "${MODULE}";${SHOW}${code}`,
    );
    const run =
      `'${Deno.execPath()}' run -A --no-check --config '${CONFIG}' '${file}'`;
    const { stdout } = await new Deno.Command("script", {
      args: ["-qec", run, "/dev/null"],
      stdin: "null",
      env: { SHELL: "/bin/sh", NO_COLOR: "1" },
    }).output();
    return new TextDecoder().decode(stdout).trim();
  } finally {
    await Deno.remove(file);
  }
}

const RAW = `
  const raw = new Uint8Array(${TERMIOS_BYTES});
  hostTerminal.ioctl(0, ${TTY.getAttributes}, raw);
  raw[12] &= ~2;`;

Deno.test("terminal: what a program set holds while it runs, and not after", async () => {
  const printed = await atTerminal(`${RAW}
    const seen = [look()];
    hostTerminal.ioctl(0, ${TTY.setAttributes}, raw);
    seen.push(look());
    hostTerminal.leave();
    seen.push(look());
    hostTerminal.enter();
    seen.push(look());
    hostTerminal.leave();
    hostTerminal.leave();
    seen.push(look());
    hostTerminal.leave(true);
    hostTerminal.enter();
    seen.push(look());
    console.log(seen.join(" "));`);
  assertEquals(printed, "1 0 1 0 1 1");
});

Deno.test("terminal: what was set elsewhere is set here, but for the speed", async () => {
  const printed = await atTerminal(`${RAW}
    const speed = raw[8];
    raw[8] = 0xff;
    hostTerminal.adopt(raw);
    hostTerminal.enter();
    const seen = new Uint8Array(${TERMIOS_BYTES});
    hostTerminal.ioctl(0, ${TTY.getAttributes}, seen);
    console.log(look(), seen[8] === speed);
    hostTerminal.leave();`);
  assertEquals(printed, "0 true");
});

Deno.test("terminal: a script's is set as a new one of Linux is", async () => {
  const attributes = new Uint8Array(TERMIOS_BYTES);
  const size = { rows: 24, columns: 80 };
  assertEquals(
    new ScriptTerminal(size).ioctl(TTY.getAttributes, attributes),
    0,
  );
  const printed = await atTerminal(`
    const seen = new Uint8Array(${TERMIOS_BYTES});
    hostTerminal.ioctl(0, ${TTY.getAttributes}, seen);
    console.log(seen.join(","));`);
  assertEquals(printed, attributes.join(","));
});
