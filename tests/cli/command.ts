/**
 * The command line in a process of its own, as a user or a shell starts it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Outcome } from "../support.ts";

const CLI = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** The words of the command `vm ARGS…`. */
export function vmWords(...args: string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--config", CONFIG, CLI, ...args];
}

/** The same as text for a shell. */
export function vmText(...args: string[]): string {
  return vmWords(...args).map(quoted).join(" ");
}

/** A word for a shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Before a command of root's: gives up all that an owner of files may not do. */
export const AS_OWNER: string =
  "setpriv --securebits +noroot,+noroot_locked --inh-caps=-all --bounding-set=-all";

/** How to start a command. */
export interface StartOptions {
  /** The folder it starts in. */
  readonly cwd?: string;
  /** Leaves standard input open, for {@linkcode Running.child}. */
  readonly isFed?: boolean;
}

/** A command that runs. */
export interface Running {
  /** The process. */
  readonly child: Deno.ChildProcess;
  /** What it printed so far. */
  readonly printed: { stdout: string; stderr: string };
  /** Resolves once it has printed `text`. */
  until(text: string): Promise<void>;
  /** What came of it. */
  readonly outcome: Promise<Outcome>;
}

/** Starts a command. */
export function start(
  words: readonly string[],
  options: StartOptions = {},
): Running {
  const [command, ...args] = words;
  const child = new Deno.Command(command, {
    args,
    cwd: options.cwd ?? "/tmp",
    stdin: options.isFed ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const printed = { stdout: "", stderr: "" };
  const heard = new Set<() => void>();
  let isOver = false;
  const listen = async (name: "stdout" | "stderr") => {
    const decoder = new TextDecoder();
    for await (const bytes of child[name]) {
      printed[name] += decoder.decode(bytes, { stream: true });
      for (const wake of heard) wake();
    }
  };
  const outcome = (async () => {
    const [{ code }] = await Promise.all([
      child.status,
      listen("stdout"),
      listen("stderr"),
    ]);
    isOver = true;
    for (const wake of heard) wake();
    return { ...printed, status: code };
  })();
  const until = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (`${printed.stdout}${printed.stderr}`.includes(text)) resolve();
        else if (isOver) {
          reject(new Error(`it ended before "${text}": ${printed.stderr}`));
        } else return;
        heard.delete(look);
      };
      heard.add(look);
      look();
    });
  return { child, printed, until, outcome };
}

/** Runs a command to its end. */
export async function run(
  words: readonly string[],
  options: StartOptions = {},
): Promise<Outcome> {
  return await start(words, options).outcome;
}

/** Runs a shell's script to its end. */
export function shell(script: string, cwd?: string): Promise<Outcome> {
  return run(["sh", "-c", script], { cwd });
}

/**
 * Asserts that the command line refused: its own status, a message and nothing
 * like a stack trace on stderr, nothing on stdout.
 */
export function assertRefused(
  outcome: Outcome,
  status: number,
  message: RegExp,
): void {
  assertMatch(outcome.stderr, message);
  assertEquals(outcome.status, status, outcome.stderr);
  assertEquals(outcome.stdout, "");
  assertTidy(outcome.stderr);
}

/** Asserts that what the user was told is lines of the forms promised. */
export function assertTidy(stderr: string): void {
  const lines = stderr.split("\n");
  assertEquals(lines.pop(), "", `no line end: ${stderr}`);
  for (const line of lines) {
    assertMatch(line, /^(vm|cause|hint): \S/, stderr);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x1f\x7f-\x9f]/.test(line), JSON.stringify(line));
  }
}
