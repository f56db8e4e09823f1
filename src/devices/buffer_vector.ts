/**
 * A buffer of the VMM's own, as something that files read from and write to.
 *
 * @module
 */

import type { Memory } from "../vmm/mod.ts";
import { IoVector } from "./io_vector.ts";

/** Least length: shorter arrays can be moved while the kernel knows where. */
const LEAST_BYTES = 4096;

/** An {@linkcode IoVector} of bytes that are no guest memory. */
export class BufferVector extends IoVector {
  readonly #bytes: Uint8Array<ArrayBuffer>;

  /**
   * @param lengthBytes how many bytes it has
   * @param into whether I/O writes to them
   */
  constructor(memory: Memory, lengthBytes: number, into: boolean) {
    super(memory);
    const room = new Uint8Array(Math.max(lengthBytes, LEAST_BYTES));
    this.#bytes = room.subarray(0, lengthBytes);
    this.reset(into);
    this.wantedBytes = lengthBytes;
    // SAFETY: the kernel is given no more than is there, and the array lives as
    // long as this, which those who do I/O hold.
    const pointer = Deno.UnsafePointer.of(room);
    const host = Number(Deno.UnsafePointer.value(pointer));
    if (lengthBytes > 0) this.addShared(host, lengthBytes);
  }

  /** Its bytes. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** Turns it around: what was read, its first bytes, is written next. */
  turn(lengthBytes: number): void {
    this.into = false;
    this.limit(lengthBytes);
    this.wantedBytes = lengthBytes;
  }

  override forEach(piece: (bytes: Uint8Array) => void): void {
    if (this.lengthBytes > 0) {
      piece(this.#bytes.subarray(0, this.lengthBytes));
    }
  }
}
