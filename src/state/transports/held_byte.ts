/**
 * Keeping the end of an image back until it is committed.
 *
 * @module
 */

/** Below this, copying a chunk costs less than writing one more. */
const COPY_BYTES = 64 * 1024;

/**
 * Holds the last byte of what is written back. A connection that is closed
 * looks the same to the peer whether the image was complete or given up: with
 * one byte missing it is truncated, which every reader of an image notices.
 */
export class HeldByte {
  #byte: number | undefined;

  /** What to write now, in order; views of `chunk` where it is large. */
  take(chunk: Uint8Array): Uint8Array[] {
    if (chunk.length === 0) return [];
    const before = this.rest();
    this.#byte = chunk[chunk.length - 1];
    const body = chunk.subarray(0, -1);
    if (before.length === 0) return body.length === 0 ? [] : [body];
    if (body.length > COPY_BYTES) return [...before, body];
    const joined = new Uint8Array(1 + body.length);
    joined.set(before[0]);
    joined.set(body, 1);
    return [joined];
  }

  /** What was held back, to be written at last. */
  rest(): Uint8Array[] {
    const byte = this.#byte;
    this.#byte = undefined;
    return byte === undefined ? [] : [Uint8Array.of(byte)];
  }
}
