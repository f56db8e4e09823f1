/**
 * Ends and the Streams of the Web, either way.
 *
 * @module
 */

import { endError } from "./errors.ts";
import type { ImageTarget } from "./image_end.ts";

/**
 * A target as a stream, for `pipeTo`: closing it commits, aborting it gives
 * up. Chunks go to the target as they are, without a copy.
 *
 * @param target the target; disposing of it is the stream's matter now
 *
 * @example Copy an image
 * ```ts
 * import { openOrigin, openTarget, targetStream } from "@scratchvm/scratchvm";
 *
 * const from = await Deno.makeTempFile();
 * const to = `${from}.copy`;
 * await using origin = await openOrigin(from);
 * await origin.readable.pipeTo(targetStream(await openTarget(to)));
 * await Promise.all([from, to].map((path) => Deno.remove(path)));
 * ```
 */
export function targetStream(target: ImageTarget): WritableStream<Uint8Array> {
  const giveUp = async () => await target[Symbol.asyncDispose]();
  const step = async (work: () => void | Promise<void>) => {
    try {
      await work();
    } catch (error) {
      // A stream that failed is neither closed nor aborted any more.
      await giveUp();
      throw error;
    }
  };
  return new WritableStream<Uint8Array>({
    write: (chunk) => step(() => target.write(chunk)),
    close: () =>
      step(async () => {
        await target.commit();
        await giveUp();
      }),
    abort: giveUp,
  });
}

/**
 * A stream of a script's own as a target: committing closes it, giving up
 * aborts it. It may keep the chunks: it gets copies.
 *
 * @param writable the stream; it stays locked
 * @param name how errors call it
 *
 * @example Keep an image in memory
 * ```ts
 * import { streamTarget } from "@scratchvm/scratchvm";
 * import { assertEquals } from "@std/assert";
 *
 * const chunks: Uint8Array[] = [];
 * const writable = new WritableStream<Uint8Array>({
 *   write: (chunk) => void chunks.push(chunk),
 * });
 * await using target = streamTarget(writable);
 * await target.write(Uint8Array.of(1, 2));
 * await target.commit();
 * assertEquals(chunks, [Uint8Array.of(1, 2)]);
 * ```
 */
export function streamTarget(
  writable: WritableStream<Uint8Array>,
  name = "the stream",
): ImageTarget {
  const writer = writable.getWriter();
  // Told of by whatever is written next.
  writer.closed.catch(() => {});
  let isOpen = true;
  const step = async (work: () => Promise<void>) => {
    try {
      if (!isOpen) throw new Error("it is closed");
      await work();
    } catch (cause) {
      throw endError(name, "write", cause);
    }
  };
  return {
    name,
    write: (chunk) => step(() => writer.write(new Uint8Array(chunk))),
    commit: () =>
      step(async () => {
        await writer.close();
        isOpen = false;
      }),
    async [Symbol.asyncDispose](): Promise<void> {
      if (!isOpen) return;
      isOpen = false;
      await writer.abort(new Error("the image was given up")).catch(() => {});
    },
  };
}
