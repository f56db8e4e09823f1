/**
 * Where the frames of a zstd stream begin and end (RFC 8878). libzstd, as
 * node:zlib has it, stops at the end of the first frame and does not say
 * whether it got there; so the lengths are followed here.
 *
 * @module
 */

import { viewOf } from "../fields.ts";
import { StageError } from "./errors.ts";

/** The number that a frame begins with (RFC 8878, 3.1.1). */
const FRAME_MAGIC = 0xfd2fb528;

/** The same, as it stands in a stream. */
export const FRAME_MAGIC_BYTES: Uint8Array = Uint8Array.of(
  ...[0x28, 0xb5, 0x2f, 0xfd],
);

/** What a frame to be skipped begins with: 16 numbers from here (3.1.2). */
const SKIPPABLE_MAGIC = 0x184d2a50;

/** The largest window that libzstd takes unless told: 2^27. */
const MAX_WINDOW_BYTES = 128 * 1024 ** 2;

/** Length of the field of the content's size, by the two bits that say it. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

/** Length of the dictionary's number, by the two bits that say it. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;

/** What the next field is. */
type State =
  | "magic"
  | "descriptor"
  | "frame header"
  | "block header"
  | "block"
  | "checksum"
  | "skippable size"
  | "skippable";

/** What some bytes of a stream are. */
export interface FramePiece {
  /** How many bytes from the start of those given. */
  readonly lengthBytes: number;
  /** Whether they are of a frame, behind its magic; else they are skipped. */
  readonly isContent: boolean;
  /** Whether the frame ends with them. */
  readonly isFrameEnd: boolean;
}

/** Follows the frames of a stream, without looking into what they hold. */
export class ZstdFrames {
  #state: State = "magic";
  /** The field under way, if it is looked at. */
  readonly #field = new Uint8Array(16);
  #filled = 0;
  /** How long the field under way is. */
  #wanted = 4;
  #descriptor = 0;
  #isLastBlock = false;
  #offset = 0;
  #frames = 0;

  /** How many bytes were followed. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Follows some bytes, to their end or to where they become something else.
   *
   * @throws {StageError} STAGE_FORMAT, STAGE_DAMAGED or STAGE_LIMIT
   */
  next(bytes: Uint8Array): FramePiece {
    const isContent = this.#state !== "magic" &&
      !this.#state.startsWith("skippable");
    let done = 0;
    while (done < bytes.length) {
      const count = Math.min(this.#wanted - this.#filled, bytes.length - done);
      if (this.#state !== "block" && this.#state !== "skippable") {
        this.#field.set(bytes.subarray(done, done + count), this.#filled);
      }
      this.#filled += count;
      this.#offset += count;
      done += count;
      if (this.#filled < this.#wanted) break;
      const before = this.#state;
      this.#step();
      while (this.#wanted === 0) this.#step();
      if (this.#state === "magic") {
        return { lengthBytes: done, isContent, isFrameEnd: isContent };
      }
      // It decides what the bytes behind it are.
      if (before === "magic") break;
    }
    return { lengthBytes: done, isContent, isFrameEnd: false };
  }

  /**
   * The stream ended.
   *
   * @throws {StageError} STAGE_TRUNCATED unless a frame did, too
   */
  end(): void {
    if (this.#state === "magic" && this.#filled === 0 && this.#frames > 0) {
      return;
    }
    throw new StageError(
      "STAGE_TRUNCATED",
      this.#offset === 0
        ? "Cannot decompress: it is empty"
        : `Cannot decompress: it ends at byte ${this.#offset}, before its end`,
      { stage: "zstdDecompress", offset: this.#offset },
    );
  }

  #expect(state: State, wanted: number): void {
    this.#state = state;
    this.#wanted = wanted;
    this.#filled = 0;
  }

  /** The field under way is complete. */
  #step(): void {
    const view = viewOf(this.#field);
    switch (this.#state) {
      case "magic":
        return this.#magic(view.getUint32(0, true));
      case "descriptor":
        this.#descriptor = this.#field[0];
        return this.#expect("frame header", headerBytes(this.#descriptor));
      case "frame header":
        this.#checkWindow(view);
        return this.#expect("block header", 3);
      case "block header": {
        const header = view.getUint16(0, true) + this.#field[2] * 0x1_0000;
        const type = header >> 1 & 3;
        if (type === 3) throw this.#damaged("a block is of no known type");
        this.#isLastBlock = (header & 1) === 1;
        // A run of one byte repeated takes one byte.
        return this.#expect("block", type === 1 ? 1 : header >> 3);
      }
      case "block":
        if (!this.#isLastBlock) return this.#expect("block header", 3);
        if (this.#descriptor & 4) return this.#expect("checksum", 4);
        return this.#expect("magic", 4);
      case "skippable size":
        return this.#expect("skippable", view.getUint32(0, true));
      case "checksum":
      case "skippable":
        return this.#expect("magic", 4);
    }
  }

  #magic(magic: number): void {
    if (magic === FRAME_MAGIC) this.#expect("descriptor", 1);
    else if ((magic & 0xffff_fff0) === SKIPPABLE_MAGIC) {
      this.#expect("skippable size", 4);
    } else if (this.#frames > 0) {
      throw this.#damaged("other bytes follow its end");
    } else {
      throw new StageError(
        "STAGE_FORMAT",
        "Cannot decompress: it is not compressed with zstd",
        { stage: "zstdDecompress", offset: 0 },
      );
    }
    this.#frames++;
  }

  /** Checks what the frame needs memory for (3.1.1.1.2). */
  #checkWindow(view: DataView): void {
    const sizeBytes = contentSizeBytes(this.#descriptor);
    let windowBytes: number;
    if (isSingleSegment(this.#descriptor)) {
      const at = headerBytes(this.#descriptor) - sizeBytes;
      windowBytes = sizeBytes === 1
        ? view.getUint8(at)
        : sizeBytes === 2
        ? view.getUint16(at, true) + 256
        : sizeBytes === 4
        ? view.getUint32(at, true)
        : Number(view.getBigUint64(at, true));
    } else {
      const base = 2 ** (10 + (view.getUint8(0) >> 3));
      windowBytes = base + base / 8 * (view.getUint8(0) & 7);
    }
    if (windowBytes <= MAX_WINDOW_BYTES) return;
    throw new StageError(
      "STAGE_LIMIT",
      `Cannot decompress: it needs a window of ${windowBytes} bytes, must be <= ${MAX_WINDOW_BYTES}`,
      {
        stage: "zstdDecompress",
        offset: this.#offset,
        hint: "compress it without --long and --ultra",
      },
    );
  }

  #damaged(reason: string): StageError {
    return new StageError("STAGE_DAMAGED", `Cannot decompress: ${reason}`, {
      stage: "zstdDecompress",
      offset: this.#offset - this.#filled,
    });
  }
}

/** Whether all of a frame is one segment, and the window as large as it. */
function isSingleSegment(descriptor: number): boolean {
  return (descriptor & 0x20) !== 0;
}

/** Length of the field of the content's size. */
function contentSizeBytes(descriptor: number): number {
  const flag = descriptor >> 6;
  return flag === 0 && isSingleSegment(descriptor)
    ? 1
    : CONTENT_SIZE_BYTES[flag];
}

/** Length of a frame's header behind its descriptor. */
function headerBytes(descriptor: number): number {
  return (isSingleSegment(descriptor) ? 0 : 1) +
    DICTIONARY_ID_BYTES[descriptor & 3] + contentSizeBytes(descriptor);
}
