/**
 * Streams of frames: what `encrypt` and `sign` have in common. A header of 128
 * bytes, then frames with a header of 16 bytes each, of which the last says so.
 *
 * @module
 */

import { crcFits, hasMagic, putCrc, viewOf } from "../fields.ts";
import { crc32 } from "../node_builtins.ts";
import { StageError, type StageErrorCode } from "./errors.ts";

/** The version of both formats that is written and read. */
const VERSION = 1;

/** Most bytes of what is protected that one frame may hold. */
export const MAX_CHUNK_BYTES: number = 1024 * 1024;

/** Most frames: AES-GCM allows 2^32 for one key (NIST SP 800-38D, 8.3). */
const MAX_FRAMES = 2 ** 32;

/** Where the fields of a stream's header are that both formats have. */
export const STREAM_HEADER = {
  magic: 0,
  version: 8,
  headerBytes: 12,
  chunkBytes: 16,
  crc: 124,
  sizeBytes: 128,
} as const;

/** Where the fields of a frame's header are. */
const FRAME = {
  bodyBytes: 0,
  flags: 4,
  bodyCrc: 8,
  crc: 12,
  sizeBytes: 16,
} as const;

/** The flag of the last frame; there are no others. */
const FINAL = 1;

/** What of a frame its authentication covers, beside what it holds. */
export interface FramePlace {
  /** Its number, from 0. */
  readonly index: number;
  /** Whether it is the last. */
  readonly isFinal: boolean;
}

/**
 * Checks how much a frame shall hold.
 *
 * @throws {RangeError} when that is not 1 to 1,048,576
 */
export function checkChunkBytes(chunkBytes: number): void {
  if (
    Number.isInteger(chunkBytes) && chunkBytes >= 1 &&
    chunkBytes <= MAX_CHUNK_BYTES
  ) return;
  throw new RangeError(
    `Cannot make frames: chunkBytes must be 1 to ${MAX_CHUNK_BYTES}, and is ${chunkBytes}`,
  );
}

/** A header with the fields that both formats have, all but the checksum. */
export function beginHeader(
  magic: Uint8Array,
  chunkBytes: number,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(STREAM_HEADER.sizeBytes);
  const view = viewOf(header);
  header.set(magic, STREAM_HEADER.magic);
  view.setUint32(STREAM_HEADER.version, VERSION, true);
  view.setUint32(STREAM_HEADER.headerBytes, STREAM_HEADER.sizeBytes, true);
  view.setUint32(STREAM_HEADER.chunkBytes, chunkBytes, true);
  return header;
}

/** Puts the checksum into a header that is otherwise complete. */
export function sealHeader(header: Uint8Array): void {
  putCrc(header, STREAM_HEADER.crc);
}

/** Gathers bytes to chunks of one size, and holds the last one back. */
export class Chunker {
  readonly #chunk: Uint8Array<ArrayBuffer>;
  readonly #take: (
    chunk: Uint8Array<ArrayBuffer>,
    place: FramePlace,
  ) => Promise<void>;
  #filled = 0;
  #index = 0;

  /**
   * @param chunkBytes how large they are, but for the last
   * @param take is given each; must be done with it when it resolves
   */
  constructor(
    chunkBytes: number,
    take: (
      chunk: Uint8Array<ArrayBuffer>,
      place: FramePlace,
    ) => Promise<void>,
  ) {
    this.#chunk = new Uint8Array(chunkBytes);
    this.#take = take;
  }

  /** Takes bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      // Only when there is more is it certain that this is not the last.
      if (this.#filled === this.#chunk.length) await this.#pass(false);
      const count = Math.min(
        this.#chunk.length - this.#filled,
        bytes.length - done,
      );
      this.#chunk.set(bytes.subarray(done, done + count), this.#filled);
      this.#filled += count;
      done += count;
    }
  }

  /** There are no more: the last chunk, which may be empty, is passed on. */
  close(): Promise<void> {
    return this.#pass(true);
  }

  async #pass(isFinal: boolean): Promise<void> {
    if (this.#index >= MAX_FRAMES) {
      throw new RangeError(
        `Cannot make more than ${MAX_FRAMES} frames: use a larger chunkBytes`,
      );
    }
    const chunk = this.#chunk.subarray(0, this.#filled);
    await this.#take(chunk, { index: this.#index, isFinal });
    this.#filled = 0;
    this.#index++;
  }
}

/** The header of a frame with this body. */
export function encodeFrameHeader(
  body: Uint8Array,
  isFinal: boolean,
): Uint8Array {
  const header = new Uint8Array(FRAME.sizeBytes);
  const view = viewOf(header);
  view.setUint32(FRAME.bodyBytes, body.length, true);
  view.setUint32(FRAME.flags, isFinal ? FINAL : 0, true);
  view.setUint32(FRAME.bodyCrc, crc32(body), true);
  putCrc(header, FRAME.crc);
  return header;
}

/** What a {@linkcode Deframer} does for one of the formats. */
export interface DeframerFormat {
  /** The stage that reads, for errors. */
  readonly stage: string;
  /** What errors say cannot be done, such as "Cannot decrypt". */
  readonly cannot: string;
  /** The first 8 bytes. */
  readonly magic: Uint8Array;
  /** How many bytes a frame's body has beside the chunk. */
  readonly overheadBytes: number;
  /** What is thrown when `start`, up to 128 bytes, is of something else. */
  notThis(start: Uint8Array): StageError;
  /** Takes the header, whose common fields are right; it may be kept. */
  header(header: Uint8Array<ArrayBuffer>): Promise<void>;
  /**
   * Takes a frame's body, whose checksum is right, and must be done with it
   * when this resolves.
   *
   * @param offset where the frame begins, for errors
   */
  frame(
    body: Uint8Array<ArrayBuffer>,
    place: FramePlace,
    offset: number,
  ): Promise<void>;
}

/** Takes a stream of frames apart, however its bytes come. */
export class Deframer {
  readonly #format: DeframerFormat;
  readonly #frame = new Uint8Array(FRAME.sizeBytes);
  #state: "header" | "frame" | "body" | "end" = "header";
  /** What is being filled. */
  #target: Uint8Array<ArrayBuffer> = new Uint8Array(STREAM_HEADER.sizeBytes);
  #filled = 0;
  /** Room for one body. */
  #body: Uint8Array<ArrayBuffer> = new Uint8Array();
  #offset = 0;
  #frameOffset = 0;
  #index = 0;
  #isFinal = false;

  /** @param format what the frames mean */
  constructor(format: DeframerFormat) {
    this.#format = format;
  }

  /**
   * Takes bytes.
   *
   * @throws {StageError} STAGE_FORMAT, STAGE_VERSION, STAGE_DAMAGED; what the
   * format throws
   */
  async write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      if (this.#state === "end") {
        throw this.#error("STAGE_DAMAGED", "other bytes follow its end");
      }
      const count = Math.min(
        this.#target.length - this.#filled,
        bytes.length - done,
      );
      this.#target.set(bytes.subarray(done, done + count), this.#filled);
      this.#filled += count;
      this.#offset += count;
      done += count;
      if (this.#filled === this.#target.length) await this.#step();
    }
  }

  /**
   * There are no more bytes.
   *
   * @throws {StageError} STAGE_TRUNCATED unless the last frame was there
   */
  close(): void {
    if (this.#state === "end") return;
    const start = this.#target.subarray(0, this.#filled);
    const { magic } = this.#format;
    if (
      this.#state === "header" &&
      !hasMagic(start, magic.subarray(0, start.length))
    ) {
      throw this.#format.notThis(start);
    }
    throw this.#error(
      "STAGE_TRUNCATED",
      this.#offset === 0
        ? "it is empty"
        : `it ends at byte ${this.#offset}, before its end`,
    );
  }

  #expect(state: "frame" | "body" | "end", target: Uint8Array<ArrayBuffer>) {
    this.#state = state;
    this.#target = target;
    this.#filled = 0;
  }

  async #step(): Promise<void> {
    if (this.#state === "header") return await this.#stepHeader();
    if (this.#state === "frame") return this.#stepFrame();
    const body = this.#target;
    const bodyCrc = viewOf(this.#frame).getUint32(FRAME.bodyCrc, true);
    if (crc32(body) !== bodyCrc) {
      throw this.#error(
        "STAGE_DAMAGED",
        `the checksum of frame ${this.#index} does not fit`,
        this.#frameOffset,
      );
    }
    const place = { index: this.#index, isFinal: this.#isFinal };
    await this.#format.frame(body, place, this.#frameOffset);
    this.#index++;
    this.#frameOffset = this.#offset;
    this.#expect(this.#isFinal ? "end" : "frame", this.#frame);
  }

  async #stepHeader(): Promise<void> {
    const header = this.#target;
    const view = viewOf(header);
    const { magic, overheadBytes } = this.#format;
    if (!hasMagic(header, magic)) throw this.#format.notThis(header);
    const version = view.getUint32(STREAM_HEADER.version, true);
    const chunkBytes = view.getUint32(STREAM_HEADER.chunkBytes, true);
    if (!crcFits(header, STREAM_HEADER.crc) || version < 1) {
      throw this.#error("STAGE_DAMAGED", "its header is damaged", 0);
    }
    // Of a later version nothing else is known.
    if (version > VERSION) {
      throw new StageError(
        "STAGE_VERSION",
        `${this.#format.cannot}: it is of version ${version}, must be <= ${VERSION}`,
        {
          stage: this.#format.stage,
          offset: STREAM_HEADER.version,
          hint: "use the version that made it, or a later one",
        },
      );
    }
    if (
      view.getUint32(STREAM_HEADER.headerBytes, true) !== header.length ||
      chunkBytes < 1 || chunkBytes > MAX_CHUNK_BYTES
    ) {
      throw this.#error("STAGE_DAMAGED", "its header makes no sense", 0);
    }
    await this.#format.header(header);
    this.#body = new Uint8Array(chunkBytes + overheadBytes);
    this.#frameOffset = this.#offset;
    this.#expect("frame", this.#frame);
  }

  #stepFrame(): void {
    const view = viewOf(this.#frame);
    const bodyBytes = view.getUint32(FRAME.bodyBytes, true);
    const flags = view.getUint32(FRAME.flags, true);
    this.#isFinal = flags === FINAL;
    // Only the last frame may hold less than a whole chunk.
    const leastBytes = this.#isFinal
      ? this.#format.overheadBytes
      : this.#body.length;
    if (
      !crcFits(this.#frame, FRAME.crc) || flags > FINAL ||
      bodyBytes < leastBytes || bodyBytes > this.#body.length ||
      this.#index >= MAX_FRAMES
    ) {
      throw this.#error(
        "STAGE_DAMAGED",
        `the header of frame ${this.#index} is damaged`,
        this.#frameOffset,
      );
    }
    this.#expect("body", this.#body.subarray(0, bodyBytes));
  }

  #error(
    code: StageErrorCode,
    reason: string,
    offset: number = this.#offset,
  ): StageError {
    const { stage, cannot } = this.#format;
    return new StageError(code, `${cannot}: ${reason}`, { stage, offset });
  }
}
