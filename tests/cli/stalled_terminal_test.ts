/**
 * Programs at a terminal that nobody reads: their VM answers all the same.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { close, open, pollNow } from "../../src/devices/host_calls.ts";
import { O, POLL } from "../../src/devices/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch } from "../support.ts";
import { vmWords } from "./command.ts";
import { Pty } from "./pty.ts";

const SIZE = { rows: 12, columns: 80 };

/** How long something may take to happen, ms. */
const PATIENCE_MS = 300_000;

/** Waits until something holds. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds()) {
    assert(performance.now() < end, `${what}: in vain`);
    await delay(5);
  }
}

/** Waits until a terminal has no room for more. */
async function untilFull(terminal: string): Promise<void> {
  const flags = O.writeOnly | O.nonBlock | O.noControllingTerminal;
  const fd = open(terminal, flags | O.closeOnExec);
  assert(fd >= 0);
  try {
    await until("full", () => pollNow(fd, POLL.out) === 0);
  } finally {
    close(fd);
  }
}

/** Whether a file is there. */
function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Whether a process has ended, reaped or not (proc(5)). */
function isOver(pid: number): boolean {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return /^State:\s+Z/m.test(status);
  } catch {
    return true;
  }
}

kvmTest(
  "terminal: a program that nobody reads is saved, and ended by SIGTERM",
  async () => {
    const [flood] = await guest("flood");
    await using scratch = new Scratch();
    const words = vmWords("run", "--continue", "--on-save=vm.img", flood);
    // What the VMM says goes elsewhere: not between the lines.
    const script = 'exec "$@" 2>said';
    await using pty = new Pty(
      ["sh", "-c", script, "sh", ...words],
      scratch.path,
      SIZE,
    );
    const { terminal, pid } = await pty.begun();
    pty.lookAway();
    await untilFull(terminal);
    Deno.kill(pid, "SIGUSR2");
    await until("saved", () => isThere(scratch.file("vm.img")));
    await untilFull(terminal);
    Deno.kill(pid, "SIGTERM");
    await until("over", () => isOver(pid));
    pty.lookAgain();
    const { code, rest } = await pty.end();
    assertEquals(code, 143);
    // All that it wrote is there, in order.
    const lines = rest.split("\r\n").slice(0, -1).filter(Boolean);
    assert(lines.length > 100, rest.slice(-500));
    assertEquals(lines, lines.map((_, n) => `line ${n}`));
  },
);

kvmTest(
  "terminal: what the VMM says to nobody keeps it from nothing",
  async () => {
    const [flood] = await guest("flood");
    await using scratch = new Scratch();
    const words = vmWords("run", "--continue", "--on-save=vm.img", flood);
    await using pty = new Pty(words, scratch.path, SIZE);
    const { terminal, pid } = await pty.begun();
    pty.lookAway();
    await untilFull(terminal);
    for (let n = 0; n < 2; n++) {
      Deno.kill(pid, "SIGUSR2");
      await until("saved", () => isThere(scratch.file("vm.img")));
      Deno.removeSync(scratch.file("vm.img"));
    }
    Deno.kill(pid, "SIGTERM");
    await until("over", () => isOver(pid));
    pty.lookAgain();
    assertEquals((await pty.end()).code, 143);
  },
);
