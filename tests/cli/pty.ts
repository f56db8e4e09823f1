/**
 * A command at a terminal of its own, and who sits at it.
 *
 * @module
 */

import { assert } from "@std/assert";
import { delay } from "../support.ts";
import { quoted } from "./command.ts";

/** How large the terminal is. */
export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** How long something may take to be seen, ms. */
const PATIENCE_MS = Number(Deno.env.get("SCRATCHVM_PATIENCE_MS") ?? 300_000);

/** A command that runs at a pseudo-terminal (script(1) of util-linux). */
export class Pty implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #text = "";
  #seen = 0;
  #hasEnded = false;

  /** @param words the command @param cwd the folder it starts in */
  constructor(words: readonly string[], cwd: string, size: Size) {
    const { rows, columns } = size;
    const command = words.map(quoted).join(" ");
    const script =
      `stty rows ${rows} cols ${columns}; echo "at $(tty) $$."; exec ${command}`;
    this.#child = new Deno.Command("script", {
      args: ["-qec", script, "/dev/null"],
      cwd,
      env: { SHELL: "/bin/sh", TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stdout) {
      this.#text += decoder.decode(bytes, { stream: true });
    }
    this.#hasEnded = true;
  }

  /**
   * Waits until something is written that was not seen before.
   *
   * @returns what was matched
   */
  async until(what: RegExp): Promise<RegExpExecArray> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const isLast = this.#hasEnded;
      const found = what.exec(this.#text.slice(this.#seen));
      if (found) {
        this.#seen += found.index + found[0].length;
        return found;
      }
      const rest = JSON.stringify(this.#text.slice(this.#seen).slice(-500));
      const hasTime = !isLast && performance.now() < end;
      assert(hasTime, `no ${what} came, but ${rest}`);
      await delay(5);
    }
  }

  /** The terminal's name, and the process that was started at it. */
  async begun(): Promise<{ terminal: string; pid: number }> {
    const [, terminal, pid] = await this.until(/at (\S+) (\d+)\./);
    return { terminal, pid: Number(pid) };
  }

  /** Types. */
  async type(keys: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(keys));
  }

  /** Nobody reads what is written, until {@linkcode lookAgain}. */
  lookAway(): void {
    this.#child.kill("SIGSTOP");
  }

  /** What was written meanwhile is read. */
  lookAgain(): void {
    this.#child.kill("SIGCONT");
  }

  /** The exit status, and all that is left to see. */
  async end(): Promise<{ code: number; rest: string }> {
    const { code } = await this.#child.status;
    await this.#reading;
    return { code, rest: this.#text.slice(this.#seen) };
  }

  /** Ends it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await this.#reading;
    await this.#writer.close().catch(() => {});
  }
}

/** Makes a terminal larger or smaller, as a window manager does. */
export async function resize(terminal: string, size: Size): Promise<void> {
  const { rows, columns } = size;
  const { success } = await new Deno.Command("stty", {
    args: ["-F", terminal, "rows", `${rows}`, "cols", `${columns}`],
  }).output();
  assert(success, `stty of ${terminal} failed`);
}
