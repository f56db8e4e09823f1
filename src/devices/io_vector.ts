/**
 * The pieces of guest memory that one read or write moves.
 *
 * @module
 */

import type { Memory } from "../vmm/mod.ts";

/** Most pieces: what readv(2) takes at most (limits.h's IOV_MAX). */
const MAX_PIECES = 1024;

/**
 * Pieces of guest memory in order, in the form that preadv(2) takes, so that
 * the kernel moves bytes straight between a file and guest memory.
 */
export class IoVector {
  /** Whether the I/O writes to guest memory. */
  into = false;
  /** How many pieces. */
  count = 0;
  /** Bytes in all pieces. */
  lengthBytes = 0;
  /** Bytes that the program asked for. */
  wantedBytes = 0;
  /** Whether a part is missing because the program may not use that memory. */
  isCut = false;
  /** `struct iovec` of each piece: host address and length, 64 bits each. */
  readonly iovecs: Uint8Array<ArrayBuffer>;

  readonly #memory: Memory;
  readonly #words: Uint32Array;
  readonly #gpas = new Float64Array(MAX_PIECES);
  readonly #lengths = new Float64Array(MAX_PIECES);
  /** Host addresses of pieces that are no memory, but a shared file's. */
  readonly #hosts = new Float64Array(MAX_PIECES);

  /** @param memory the memory that the pieces are of */
  constructor(memory: Memory) {
    this.#memory = memory;
    this.#words = new Uint32Array(MAX_PIECES * 4);
    this.iovecs = new Uint8Array(this.#words.buffer as ArrayBuffer);
  }

  /** Empties it. */
  reset(into: boolean): void {
    this.into = into;
    this.count = 0;
    this.lengthBytes = 0;
    this.wantedBytes = 0;
    this.isCut = false;
  }

  /**
   * Appends a piece, joining it to the one before where they touch.
   *
   * @returns false when there is no room for one more
   * @throws {VmError} unless the piece is memory: the kernel gets its address
   */
  add(gpa: number, lengthBytes: number): boolean {
    this.#memory.check(gpa, lengthBytes);
    const last = this.count - 1;
    if (last >= 0 && this.#gpas[last] + this.#lengths[last] === gpa) {
      this.#setLength(last, this.#lengths[last] + lengthBytes);
    } else {
      if (this.count === MAX_PIECES) return false;
      this.#append(this.#memory.hostAddress + gpa, lengthBytes);
      this.#gpas[this.count] = gpa;
      this.#hosts[this.count] = 0;
      this.count++;
    }
    this.lengthBytes += lengthBytes;
    if (this.into) this.#memory.markDirty(gpa, lengthBytes);
    return true;
  }

  /**
   * Appends a piece of a shared file, by its host address: the kernel copies,
   * and answers EFAULT where the file has ended.
   *
   * @returns false when there is no room for one more
   */
  addShared(host: number, lengthBytes: number): boolean {
    const last = this.count - 1;
    if (last >= 0 && this.#hosts[last] + this.#lengths[last] === host) {
      this.#setLength(last, this.#lengths[last] + lengthBytes);
      this.lengthBytes += lengthBytes;
      return true;
    }
    if (this.count === MAX_PIECES) return false;
    this.#append(host, lengthBytes);
    this.#gpas[this.count] = NaN;
    this.#hosts[this.count] = host;
    this.count++;
    this.lengthBytes += lengthBytes;
    return true;
  }

  #append(host: number, lengthBytes: number): void {
    const at = this.count * 4;
    this.#words[at] = host % 0x1_0000_0000;
    this.#words[at + 1] = Math.floor(host / 0x1_0000_0000);
    this.#setLength(this.count, lengthBytes);
  }

  #setLength(index: number, lengthBytes: number): void {
    this.#lengths[index] = lengthBytes;
    this.#words[index * 4 + 2] = lengthBytes; // modulo 2^32
    this.#words[index * 4 + 3] = Math.floor(lengthBytes / 0x1_0000_0000);
  }

  /** Cuts it to at most `lengthBytes`. */
  limit(lengthBytes: number): void {
    while (this.lengthBytes > lengthBytes) {
      const last = this.count - 1;
      const over = this.lengthBytes - lengthBytes;
      const cut = Math.min(over, this.#lengths[last]);
      this.#setLength(last, this.#lengths[last] - cut);
      this.lengthBytes -= cut;
      if (this.#lengths[last] === 0) this.count--;
    }
  }

  /** Calls `piece` with a view of each piece's bytes, in order. */
  forEach(piece: (bytes: Uint8Array) => void): void {
    for (let i = 0; i < this.count; i++) {
      const gpa = this.#gpas[i];
      if (this.#hosts[i] !== 0) {
        // What a file that became shorter lacks reads as zero.
        const copy = new Uint8Array(this.#lengths[i]);
        this.#memory.files.read(this.#hosts[i], copy);
        piece(copy);
        if (this.into) this.#memory.files.write(this.#hosts[i], copy);
        continue;
      }
      piece(this.#memory.u8.subarray(gpa, gpa + this.#lengths[i]));
    }
  }

  /** Copies from `bytes` into the pieces; returns how many bytes. */
  fill(bytes: Uint8Array): number {
    let done = 0;
    this.forEach((piece) => {
      const part = bytes.subarray(done, done + piece.length);
      piece.set(part);
      done += part.length;
    });
    return done;
  }
}
