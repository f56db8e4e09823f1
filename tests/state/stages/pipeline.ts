/**
 * What tests of stages share: sources, sinks, and what goes between.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Stage, StageError, type StageErrorCode } from "../../../mod.ts";

/** Lengths at which things change: none, one, about a frame, several MiB. */
export const LENGTHS: readonly number[] = [
  ...[0, 1, 1000, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 5 * 2 ** 20 + 12_345],
];

/** `length` bytes, of which some repeat, so that they can be compressed. */
export function sample(
  length: number,
  random: () => number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const run = Math.min(length - at, 1 + Math.floor(random() * 300));
    if (random() < 0.5) bytes.fill(random() * 256, at, at + run);
    else for (let i = at; i < at + run; i++) bytes[i] = random() * 256;
    at += run;
  }
  return bytes;
}

/** Cuts bytes into pieces of any size, empty and single ones among them. */
export function cut(bytes: Uint8Array, random: () => number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const scale = 2 ** (3 + random() * 19);
  for (let at = 0; at < bytes.length;) {
    const kind = random();
    // A few single bytes: many would take long.
    const length = kind < 0.1
      ? 0
      : kind < 0.2
      ? 1
      : Math.floor(random() * Math.max(scale, bytes.length / 200));
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/**
 * A source of pieces that are all in the same memory: each is overwritten when
 * the next is asked for.
 */
export function reusing(
  pieces: readonly Uint8Array[],
): ReadableStream<Uint8Array> {
  const most = pieces.reduce((m, piece) => Math.max(m, piece.length), 0);
  const memory = new Uint8Array(most);
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      memory.fill(0xee);
      if (next === pieces.length) return controller.close();
      const piece = pieces[next++];
      memory.set(piece);
      controller.enqueue(memory.subarray(0, piece.length));
    },
  }, { highWaterMark: 0 });
}

/** All that comes through stages. */
export async function through(
  pieces: readonly Uint8Array[],
  ...stages: readonly Stage[]
): Promise<Uint8Array<ArrayBuffer>> {
  let stream = reusing(pieces);
  for (const stage of stages) stream = stream.pipeThrough(stage);
  return await collect(stream);
}

/** All that a stream gives, taken a turn of the event loop late. */
export async function collect(
  stream: ReadableStream<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  await stream.pipeTo(
    new WritableStream({
      async write(chunk) {
        await turns(1);
        chunks.push(new Uint8Array(chunk));
      },
    }),
  );
  return concat(chunks);
}

/** All of the chunks, one behind another. */
export function concat(
  chunks: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, c) => sum + c.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Compares, without printing megabytes when they differ. */
export function assertSameBytes(
  actual: Uint8Array,
  expected: Uint8Array,
  what = "",
): void {
  assertEquals(actual.length, expected.length, what);
  const wrong = actual.findIndex((byte, i) => byte !== expected[i]);
  assertEquals(wrong, -1, `${what}: byte ${wrong} differs`);
}

/** Lets the event loop have some turns. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** That it fails with a StageError of one of these codes; the error. */
export async function failsWith(
  codes: StageErrorCode | readonly StageErrorCode[],
  outcome: Promise<unknown>,
  what = "",
): Promise<StageError> {
  const error = await outcome.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert(error instanceof StageError, `${what}: ${error}`);
  assert([codes].flat().includes(error.code), `${what}: ${error.code}`);
  assert(!error.message.endsWith("."), error.message);
  return error;
}

/**
 * What comes through stages, which may fail; and the failure. For checks that
 * nothing wrong comes through before it.
 */
export async function attempt(
  pieces: readonly Uint8Array[],
  ...stages: readonly Stage[]
): Promise<{ passed: Uint8Array; error: unknown }> {
  const chunks: Uint8Array[] = [];
  let stream = reusing(pieces);
  for (const stage of stages) stream = stream.pipeThrough(stage);
  try {
    for await (const chunk of stream) chunks.push(new Uint8Array(chunk));
  } catch (error) {
    return { passed: concat(chunks), error };
  }
  return { passed: concat(chunks), error: undefined };
}

/** Whether a tool of the host is there, which answers to `ask`. */
export function hasTool(name: string, ask = "--version"): boolean {
  try {
    return new Deno.Command(name, {
      args: [ask],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
}

/** What a tool of the host makes of its input. */
export async function tool(
  name: string,
  args: readonly string[],
  input: Uint8Array = new Uint8Array(),
): Promise<Uint8Array> {
  const child = new Deno.Command(name, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  const { success, stdout } = await output;
  assert(success, name);
  return stdout;
}
