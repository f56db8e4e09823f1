/**
 * Writing to several sinks at once.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { StageError } from "./errors.ts";
import { makeStage, type Stage } from "./stage.ts";

/** How much is copied for each sink at once. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Hands the bytes on unchanged, and also writes them to every sink, as fast as
 * the slowest takes them. At the end the sinks are closed; when the pipeline
 * fails they are aborted. A sink that fails, fails the pipeline. Each sink gets
 * copies, so it may keep what it is given.
 *
 * @example Keep a copy of what goes to another machine
 * ```ts
 * import { count, tee } from "@scratchvm/scratchvm";
 *
 * const copied = count();
 * const kept = copied.readable.pipeTo(new WritableStream());
 * await ReadableStream.from([new Uint8Array(1000)])
 *   .pipeThrough(tee(copied.writable))
 *   .pipeTo(new WritableStream());
 * await kept;
 * console.log(copied.bytesSoFar);
 * ```
 *
 * @param sinks written to, and locked; a failure is a {@linkcode StageError}
 * STAGE_SINK that says which sink, by its number from 0
 * @throws {TypeError} when a sink is locked
 */
export function tee(...sinks: WritableStream<Uint8Array>[]): Stage {
  const locked = sinks.findIndex((sink) => sink.locked);
  if (locked >= 0) {
    throw new TypeError(`Cannot tee: sink ${locked} is locked`);
  }
  if (new Set(sinks).size < sinks.length) {
    throw new TypeError("Cannot tee: a sink is given twice");
  }
  const writers = sinks.map((sink) => sink.getWriter());
  const onAll = (step: (writer: Writer) => Promise<void>) =>
    writers.map((writer, index) =>
      step(writer).catch((cause) => {
        throw sinkFailed(index, cause);
      })
    );
  return makeStage((emit) => ({
    async write(chunk) {
      for (let done = 0; done < chunk.length; done += PIECE_BYTES) {
        const piece = chunk.subarray(done, done + PIECE_BYTES);
        await Promise.all([
          ...onAll((writer) => writer.write(new Uint8Array(piece))),
          emit(piece),
        ]);
      }
    },
    async close() {
      await Promise.all(onAll((writer) => writer.close()));
      for (const writer of writers) writer.releaseLock();
    },
    async fail(reason) {
      await Promise.allSettled(writers.map((writer) => writer.abort(reason)));
      for (const writer of writers) writer.releaseLock();
    },
  }), { chunksAhead: 0 });
}

type Writer = WritableStreamDefaultWriter<Uint8Array>;

function sinkFailed(index: number, cause: unknown): StageError {
  return new StageError(
    "STAGE_SINK",
    `Cannot tee: sink ${index} failed: ${reasonOf(cause)}`,
    { stage: "tee", cause },
  );
}
