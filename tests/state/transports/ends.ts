/**
 * What tests of the ends share: bytes, errors, counted descriptors.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type ImageOrigin,
  type ImageTarget,
  TransportError,
  type TransportErrorCode,
} from "../../../mod.ts";
import { delay, resources } from "../../support.ts";

/** Several MiB that repeat nowhere near a power of two. */
export const IMAGE = pattern(5 * 1024 ** 2 + 4321);

function pattern(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7) & 0xff;
  return bytes;
}

/**
 * Writes `bytes` in pieces of many lengths out of one buffer that is
 * overwritten as soon as it may be.
 */
export async function writePieces(
  target: ImageTarget,
  bytes: Uint8Array,
): Promise<void> {
  const buffer = new Uint8Array(1024 ** 2);
  const lengths = [1, 100, 65_536, 1024 ** 2, 2, 70_000, 0, 500_000];
  let done = 0;
  for (let i = 0; done < bytes.length; i++) {
    const piece = bytes.subarray(done, done + lengths[i % lengths.length]);
    const view = buffer.subarray(0, piece.length);
    view.set(piece);
    await target.write(view);
    view.fill(0xee);
    done += piece.length;
  }
}

/** Sends all of `bytes`. */
export async function send(target: ImageTarget, bytes = IMAGE): Promise<void> {
  await using it = target;
  await writePieces(it, bytes);
  await it.commit();
}

/** All of an origin's bytes. */
export async function receive(origin: ImageOrigin): Promise<Uint8Array> {
  await using it = origin;
  return await allOf(it);
}

/** The same, and leaves the origin open. */
export function allOf(origin: ImageOrigin): Promise<Uint8Array> {
  return new Response(
    origin.readable as ReadableStream<Uint8Array<ArrayBuffer>>,
  )
    .bytes();
}

/** Compares without printing MiB. */
export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length);
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  assertEquals(at, -1);
}

/** What `work` fails with. */
export async function thrown(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

/** The transport's error that `work` fails with, which must have `code`. */
export async function failure(
  code: TransportErrorCode | readonly TransportErrorCode[],
  work: () => unknown,
): Promise<TransportError> {
  const error = await thrown(work);
  if (!(error instanceof TransportError)) throw error;
  assert([code].flat().includes(error.code), `${error.code}: ${error.message}`);
  assert(error.end !== "");
  assert(!error.message.endsWith("."));
  return error;
}

/** A test after which as many descriptors are open as before. */
export function endTest(name: string, work: () => Promise<void>): void {
  Deno.test(name, async () => {
    await warmUp();
    const { fds } = resources();
    await work();
    // A socket that was closed goes in the event loop's next turns.
    for (let i = 0; i < 1000 && resources().fds > fds; i++) await delay(1);
    assert(
      resources().fds <= fds,
      `${resources().fds} descriptors, not ${fds}`,
    );
  });
}

let isWarm = false;

/** What opens descriptors once and for all, such as a pool of threads. */
async function warmUp(): Promise<void> {
  if (isWarm) return;
  isWarm = true;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const [conn] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port }),
    listener.accept().then((it) => it.close()),
  ]);
  conn.close();
}
