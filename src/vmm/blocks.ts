/**
 * Which 2 MiB blocks of guest memory are in use.
 *
 * @module
 */

import { VmError } from "./errors.ts";
import { BLOCK_BYTES } from "./layout.ts";

/**
 * Hands out blocks, the lowest free one first, so that the choice follows from
 * what is in use and no free list has to travel. A block not in use is all
 * zero: whoever frees one discards its memory.
 */
export class BlockAllocator {
  readonly #used: Uint8Array;
  #free: number;
  /** No block below this one is free. */
  #hint = 0;

  /** @param memoryBytes how much memory there is, a multiple of a block */
  constructor(memoryBytes: number) {
    this.#free = memoryBytes / BLOCK_BYTES;
    this.#used = new Uint8Array(this.#free);
  }

  /** Bytes in free blocks. */
  get freeBytes(): number {
    return this.#free * BLOCK_BYTES;
  }

  /** The gpa of a block that was free, or -1 when none is. */
  allocate(): number {
    const index = this.#used.indexOf(0, this.#hint);
    if (index < 0) return -1;
    this.#used[index] = 1;
    this.#hint = index + 1;
    this.#free--;
    return index * BLOCK_BYTES;
  }

  /** Takes the block at `gpa`. @throws {VmError} unless it is free */
  take(gpa: number): void {
    const index = gpa / BLOCK_BYTES;
    if (this.#used[index] !== 0) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot take the block at gpa 0x${gpa.toString(16)}: it is ${
          this.#used[index] === 1 ? "in use" : "no block of memory"
        }`,
      );
    }
    this.#used[index] = 1;
    this.#free--;
  }

  /** Frees the block at `gpa`, whose memory was discarded. */
  release(gpa: number): void {
    const index = gpa / BLOCK_BYTES;
    this.#used[index] = 0;
    this.#free++;
    this.#hint = Math.min(this.#hint, index);
  }

  /** The gpas of the blocks in use, in order. */
  *used(): Generator<number> {
    for (let i = 0; i < this.#used.length; i++) {
      if (this.#used[i]) yield i * BLOCK_BYTES;
    }
  }
}
