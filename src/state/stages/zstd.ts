/**
 * Fast compression.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { nodeZlib } from "../node_builtins.ts";
import { StageError } from "./errors.ts";
import { type Emit, makeStage, type Stage, type StageWork } from "./stage.ts";
import {
  limitOutput,
  OUTPUT_BYTES,
  ZlibEngine,
  zlibStage,
} from "./zlib_engine.ts";
import { FRAME_MAGIC_BYTES, ZstdFrames } from "./zstd_frames.ts";

/** How {@linkcode zstdCompress} compresses. */
export interface ZstdCompressOptions {
  /** From 1, the fastest, to 22, the smallest; 1 if it is not given. */
  readonly level?: number;
}

/** How much {@linkcode zstdDecompress} gives. */
export interface ZstdDecompressOptions {
  /** Fails when more than so many bytes come out; no limit if not given. */
  readonly maxOutputBytes?: number;
}

/**
 * Compresses as `zstd` does, in one frame with a checksum.
 *
 * @example
 * ```ts
 * import { zstdCompress, zstdDecompress } from "@scratchvm/scratchvm";
 *
 * const packed = new Response("hello").body!
 *   .pipeThrough(zstdCompress({ level: 3 }));
 * console.log(await new Response(packed.pipeThrough(zstdDecompress())).text());
 * ```
 *
 * @throws {RangeError} when there is no such level
 */
export function zstdCompress(options: ZstdCompressOptions = {}): Stage {
  const { level = 1 } = options;
  if (!(Number.isInteger(level) && level >= 1 && level <= 22)) {
    throw new RangeError(
      `Cannot compress: level must be 1 to 22, and is ${level}`,
    );
  }
  const { createZstdCompress, constants } = nodeZlib();
  return zlibStage(() =>
    createZstdCompress({
      chunkSize: OUTPUT_BYTES,
      params: {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    })
  );
}

/**
 * Undoes {@linkcode zstdCompress}, and reads what the tool `zstd` writes: one
 * frame or more. Damage can be found after bytes before it were passed on.
 * Failures are a {@linkcode StageError} STAGE_FORMAT, STAGE_DAMAGED,
 * STAGE_TRUNCATED or STAGE_LIMIT.
 *
 * @example
 * ```ts
 * import { zstdCompress, zstdDecompress } from "@scratchvm/scratchvm";
 *
 * const packed = new Response("hello").body!.pipeThrough(zstdCompress());
 * const plain = packed.pipeThrough(zstdDecompress({ maxOutputBytes: 1000 }));
 * console.log(await new Response(plain).text());
 * ```
 */
export function zstdDecompress(options: ZstdDecompressOptions = {}): Stage {
  const { maxOutputBytes = Infinity } = options;
  return makeStage(
    (emit) =>
      new Decompression(limitOutput(emit, "zstdDecompress", maxOutputBytes)),
    { chunksAhead: 1 },
  );
}

/** Decompresses frame after frame: node:zlib knows only one. */
class Decompression implements StageWork {
  readonly #emit: Emit;
  readonly #frames = new ZstdFrames();
  #engine: ZlibEngine | undefined;
  #frameBytes = 0;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const { lengthBytes, isContent, isFrameEnd } = this.#frames.next(rest);
      if (isContent) {
        await this.#decompress(rest.subarray(0, lengthBytes), isFrameEnd);
      }
      rest = rest.subarray(lengthBytes);
    }
  }

  close(): void {
    this.#frames.end();
  }

  fail(reason: unknown): void {
    this.#engine?.destroy(reason);
  }

  async #decompress(bytes: Uint8Array, isFrameEnd: boolean): Promise<void> {
    try {
      this.#engine ??= await this.#begin();
      this.#frameBytes += bytes.length;
      await this.#engine.write(bytes);
      if (!isFrameEnd) return;
      await this.#engine.end();
    } catch (error) {
      throw this.#asStageError(error);
    }
    if (this.#engine.takenBytes !== this.#frameBytes) {
      throw this.#damaged("a frame ends before its end");
    }
    this.#engine = undefined;
  }

  async #begin(): Promise<ZlibEngine> {
    const stream = nodeZlib().createZstdDecompress({ chunkSize: OUTPUT_BYTES });
    this.#engine = new ZlibEngine(stream, this.#emit);
    this.#frameBytes = FRAME_MAGIC_BYTES.length;
    await this.#engine.write(FRAME_MAGIC_BYTES);
    return this.#engine;
  }

  /** What libzstd's errors mean; what is none of its stays what it is. */
  #asStageError(error: unknown): unknown {
    if (!/^Zstd /.test((error as Error | undefined)?.message ?? "")) {
      return error;
    }
    return this.#damaged(reasonOf(error), error);
  }

  #damaged(reason: string, cause?: unknown): StageError {
    return new StageError("STAGE_DAMAGED", `Cannot decompress: ${reason}`, {
      stage: "zstdDecompress",
      offset: this.#frames.offset,
      cause,
    });
  }
}
