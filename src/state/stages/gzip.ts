/**
 * Compression that every system has a tool for.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { nodeZlib } from "../node_builtins.ts";
import { StageError } from "./errors.ts";
import { makeStage, type Stage } from "./stage.ts";
import {
  limitOutput,
  OUTPUT_BYTES,
  ZlibEngine,
  zlibStage,
} from "./zlib_engine.ts";

/** What a stream begins with (RFC 1952, 2.3.1). */
const GZIP_MAGIC = Uint8Array.of(0x1f, 0x8b);

/** How {@linkcode gzip} compresses. */
export interface GzipOptions {
  /** From 1, the fastest, to 9, the smallest; 6 if it is not given. */
  readonly level?: number;
}

/** How much {@linkcode gunzip} gives. */
export interface GunzipOptions {
  /** Fails when more than so many bytes come out; no limit if not given. */
  readonly maxOutputBytes?: number;
}

/**
 * Compresses as `gzip` does. {@linkcode zstdCompress} is many times as fast.
 *
 * @example
 * ```ts
 * import { gunzip, gzip } from "@scratchvm/scratchvm";
 *
 * const packed = new Response("hello").body!.pipeThrough(gzip());
 * console.log(await new Response(packed.pipeThrough(gunzip())).text());
 * ```
 *
 * @throws {RangeError} when there is no such level
 */
export function gzip(options: GzipOptions = {}): Stage {
  const { level = 6 } = options;
  if (!(Number.isInteger(level) && level >= 1 && level <= 9)) {
    throw new RangeError(`Cannot gzip: level must be 1 to 9, and is ${level}`);
  }
  return zlibStage(() =>
    nodeZlib().createGzip({ level, chunkSize: OUTPUT_BYTES })
  );
}

/**
 * Undoes {@linkcode gzip}, and reads what the tool of that name writes. Several
 * compressed streams one behind another are one; anything else behind the end,
 * zeros too, is damage. Damage can be found after bytes before it were passed
 * on. Failures are a {@linkcode StageError} STAGE_FORMAT, STAGE_DAMAGED,
 * STAGE_TRUNCATED or STAGE_LIMIT.
 *
 * @example
 * ```ts
 * import { gunzip, gzip } from "@scratchvm/scratchvm";
 *
 * const packed = new Response("hello").body!.pipeThrough(gzip());
 * console.log(await new Response(packed.pipeThrough(gunzip())).text());
 * ```
 */
export function gunzip(options: GunzipOptions = {}): Stage {
  const { maxOutputBytes = Infinity } = options;
  return makeStage((emit) => {
    const stream = nodeZlib().createGunzip({ chunkSize: OUTPUT_BYTES });
    const engine = new ZlibEngine(
      stream,
      limitOutput(emit, "gunzip", maxOutputBytes),
    );
    let givenBytes = 0;
    // It stops without a word at bytes that it takes for padding.
    const checkTaken = () => {
      if (engine.takenBytes === givenBytes) return;
      throw damaged("other bytes follow its end", engine.takenBytes);
    };
    const check = async (step: () => Promise<void>) => {
      try {
        await step();
      } catch (error) {
        throw asStageError(error, engine.takenBytes);
      }
      checkTaken();
    };
    return {
      write(chunk) {
        const magic = GZIP_MAGIC.subarray(givenBytes);
        if (magic.some((byte, i) => i < chunk.length && chunk[i] !== byte)) {
          throw notGzip();
        }
        givenBytes += chunk.length;
        return check(() => engine.write(chunk));
      },
      close() {
        if (givenBytes === 0) throw truncated("it is empty", 0);
        return check(() => engine.end());
      },
      fail: (reason) => engine.destroy(reason),
    };
  }, { chunksAhead: 1 });
}

/** What zlib's errors mean; what is no error of zlib stays what it is. */
function asStageError(error: unknown, offset: number): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (code === "Z_BUF_ERROR") {
    return truncated(
      `it ends at byte ${offset}, before its end`,
      offset,
      error,
    );
  }
  if (typeof code !== "string" || !code.startsWith("Z_")) return error;
  return damaged(reasonOf(error), offset, error);
}

function notGzip(): StageError {
  return new StageError(
    "STAGE_FORMAT",
    "Cannot gunzip: it is not compressed with gzip",
    { stage: "gunzip", offset: 0 },
  );
}

function truncated(
  reason: string,
  offset: number,
  cause?: unknown,
): StageError {
  return new StageError("STAGE_TRUNCATED", `Cannot gunzip: ${reason}`, {
    stage: "gunzip",
    offset,
    cause,
  });
}

function damaged(reason: string, offset: number, cause?: unknown): StageError {
  return new StageError("STAGE_DAMAGED", `Cannot gunzip: ${reason}`, {
    stage: "gunzip",
    offset,
    cause,
  });
}
