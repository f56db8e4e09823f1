/**
 * Both sides of a move as processes, by the command line.
 *
 * @module
 */

import { type Running, start, vmWords } from "../cli/command.ts";
import { guest, type Scratch } from "../support.ts";
import type { FrameProxy } from "./frame_proxy.ts";

/** The folder, and the program that waits for lines. */
export async function prepared(
  scratch: Scratch,
  name = "blocked_read",
): Promise<string> {
  const [program] = await guest(name);
  for (const side of ["here", "there"]) Deno.mkdirSync(scratch.file(side));
  return program;
}

/** A `vm receive` that listens, and where. */
export async function receiving(
  scratch: Scratch,
  options: readonly string[] = [],
  url = "tcp://127.0.0.1:0",
): Promise<Running & { readonly url: string }> {
  const words = vmWords("receive", ...options, url);
  const running = start(words, { cwd: scratch.file("there"), isFed: true });
  await running.until("\n");
  const [name] = /(tcp|tls):\S+/.exec(running.printed.stderr)!;
  return { ...running, url: name };
}

/** A program that waits for lines, and moves to `url` at SIGUSR2. */
export async function running(
  scratch: Scratch,
  program: string,
  url: string,
  options: readonly string[] = [],
): Promise<Running> {
  const words = vmWords(
    ...["run", "--memory=64M", `--on-save=${url}`, ...options, program],
  );
  const source = start(words, { cwd: scratch.file("here"), isFed: true });
  await source.until("ready");
  return source;
}

/** Gives a program its last line, and what came of it. */
export async function finish({ child, outcome }: Running, line: string) {
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(line)).catch(() => {});
  await writer.close().catch(() => {});
  return await outcome;
}

/** Resolves once a proxy has passed a frame of this name. */
export function passed(proxy: FrameProxy, name: string): Promise<void> {
  return new Promise((resolve) => {
    proxy.onFrame = (frame) => {
      if (frame.name === name) resolve();
    };
  });
}

/** Stands still once the destination has said that it can take the VM. */
export const IN_TRANSFER = {
  from: "source",
  index: 2,
  passedBytes: 100,
  stalls: true,
} as const;
