/**
 * The VMM's way to a program's memory: every pointer the program passes is
 * checked here, and nowhere else.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { IoVector } from "../devices/mod.ts";
import { type Memory, PAGE_BYTES, PROT } from "../vmm/mod.ts";
import type { AddressSpace } from "./address_space.ts";

/** Longest path, with its terminating zero (limits.h's PATH_MAX). */
export const PATH_MAX = 4096;

/** Most entries of an iovec array (uio.h's UIO_MAXIOV). */
const IOV_MAX = 1024;

/** Most bytes one read or write moves (fs.h's MAX_RW_COUNT). */
export const MAX_RW_BYTES = 0x7fff_f000;

/**
 * Most bytes that a call moves before the event loop has a turn
 * (syscalls/steps.ts).
 */
export const STEP_BYTES = 16 * 1024 * 1024;

const encoder = new TextEncoder();

/** A program's memory, by its own addresses. */
export class UserMemory {
  readonly #memory: Memory;
  readonly #space: AddressSpace;
  /** Scratch for structures on their way in or out. */
  readonly #scratch = new DataView(new ArrayBuffer(PAGE_BYTES));
  readonly #iovecs = new DataView(new ArrayBuffer(IOV_MAX * 16));
  readonly #io: IoVector;
  readonly #oneByte = new Uint8Array(1);

  /** @param memory guest memory @param space the program's address space */
  constructor(memory: Memory, space: AddressSpace) {
    this.#memory = memory;
    this.#space = space;
    this.#io = new IoVector(memory);
  }

  /** The gpa of the byte at `va`, faulted in if need be; -1 when refused. */
  translate(va: number, write: boolean): number {
    const gpa = this.#space.tables.translate(va, write);
    if (gpa >= 0) return gpa;
    if (!(va >= 0)) return -1;
    if (!this.#space.fault(va, write ? PROT.write : PROT.read)) return -1;
    return this.#space.tables.translate(va, write);
  }

  /** Copies the program's bytes into `bytes`; false when it may not read all. */
  read(va: number, bytes: Uint8Array): boolean {
    const { tables } = this.#space;
    for (let done = 0; done < bytes.length;) {
      const gpa = this.translate(va + done, false);
      if (gpa < 0) {
        const n = this.#copyShared(va + done, bytes.subarray(done), false);
        if (n === 0) return false;
        done += n;
        continue;
      }
      const length = tables.extent(va + done, false, bytes.length - done);
      if (length <= 64) {
        const u8 = this.#memory.u8;
        for (let i = 0; i < length; i++) bytes[done + i] = u8[gpa + i];
      } else {
        bytes.set(this.#memory.u8.subarray(gpa, gpa + length), done);
      }
      done += length;
    }
    return true;
  }

  /**
   * Copies `bytes` to the program.
   *
   * @returns false when the program may not write all of it; what is before
   * the page it may not write is written, as by the kernel's copy_to_user
   */
  write(va: number, bytes: Uint8Array, lengthBytes = bytes.length): boolean {
    const { tables } = this.#space;
    for (let done = 0; done < lengthBytes;) {
      const gpa = this.translate(va + done, true);
      if (gpa < 0) {
        const rest = bytes.subarray(done, lengthBytes);
        const n = this.#copyShared(va + done, rest, true);
        if (n === 0) return false;
        done += n;
        continue;
      }
      const length = tables.extent(va + done, true, lengthBytes - done);
      if (length <= 64) {
        const u8 = this.#memory.u8;
        for (let i = 0; i < length; i++) u8[gpa + i] = bytes[done + i];
      } else {
        this.#memory.u8.set(bytes.subarray(done, done + length), gpa);
      }
      this.#memory.markDirty(gpa, length);
      done += length;
    }
    return true;
  }

  /** Copies from or to a shared file; how many bytes, 0 where there is none. */
  #copyShared(va: number, bytes: Uint8Array, write: boolean): number {
    const found = this.#space.outer.shared(va, write);
    if (!found) return 0;
    const { files } = this.#memory;
    const part = bytes.subarray(0, found.lengthBytes) as Uint8Array<
      ArrayBuffer
    >;
    const isDone = write
      ? files.write(found.host, part)
      : files.read(found.host, part);
    return isDone ? part.length : 0;
  }

  /**
   * A copy of the structure of `lengthBytes` (at most a page) at `va`; valid
   * until the next call. `undefined` when the program may not read it.
   */
  readStruct(va: number, lengthBytes: number): DataView | undefined {
    const bytes = new Uint8Array(this.#scratch.buffer, 0, lengthBytes);
    return this.read(va, bytes) ? this.#scratch : undefined;
  }

  /** Writes a structure; the result of a system call: 0 or -EFAULT. */
  writeStruct(va: number, view: DataView): number {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return this.write(va, bytes) ? 0 : -ERRNO.EFAULT;
  }

  /** Writes `value` as a 32-bit number; 0 or -EFAULT. */
  writeU32(va: number, value: number): number {
    this.#scratch.setUint32(0, value, true);
    return this.write(va, new Uint8Array(this.#scratch.buffer, 0, 4), 4)
      ? 0
      : -ERRNO.EFAULT;
  }

  /**
   * The zero-terminated bytes at `va`, without the zero.
   *
   * @returns the bytes, or a negative errno: EFAULT, or ENAMETOOLONG when there
   * is no zero within `limit` bytes
   */
  readString(va: number, limit: number = PATH_MAX): Uint8Array | number {
    const parts: number[] = [];
    for (let done = 0; done < limit;) {
      const gpa = this.translate(va + done, false);
      const length = Math.min(
        limit - done,
        PAGE_BYTES - (va + done) % PAGE_BYTES,
      );
      if (!(length > 0)) return -ERRNO.EFAULT;
      let u8: Uint8Array = this.#memory.u8;
      let start = gpa;
      if (gpa < 0) {
        u8 = new Uint8Array(length);
        start = 0;
        if (this.#copyShared(va + done, u8, false) < length) {
          return -ERRNO.EFAULT;
        }
      }
      for (let i = 0; i < length; i++) {
        const byte = u8[start + i];
        if (byte === 0) return Uint8Array.from(parts);
        parts.push(byte);
      }
      done += length;
    }
    return -ERRNO.ENAMETOOLONG;
  }

  /**
   * Whether `[va, va + lengthBytes)` lies where user memory can be at all,
   * mapped or not (the kernel's access_ok).
   */
  inRange(va: number, lengthBytes: number): boolean {
    return va >= 0 && va + lengthBytes <= 0x7fff_ffff_f000;
  }

  /**
   * The memory of one buffer, for I/O. A buffer is cut where the program may
   * not use it; what that means is the file's to say. One that is not where user
   * memory can be gives EFAULT. Of what is longer than a step of a call, the
   * next step looks at the rest.
   *
   * @param into whether the I/O writes to the program's memory
   * @param skipBytes leave out so much of the start: it is done already
   */
  buffer(
    va: number,
    lengthBytes: number,
    into: boolean,
    skipBytes = 0,
  ): IoVector | number {
    const io = this.#io;
    io.reset(into);
    if (!this.inRange(va, lengthBytes)) return -ERRNO.EFAULT;
    const length = Math.min(lengthBytes, MAX_RW_BYTES);
    io.wantedBytes = length - skipBytes;
    if (length > skipBytes) this.#append(va + skipBytes, length - skipBytes);
    return io;
  }

  /**
   * The memory of the program's areas, whatever they allow, for the VMM to
   * fill: at most as much as one read moves.
   */
  area(va: number, lengthBytes: number): IoVector {
    const io = this.#io;
    io.reset(true);
    const total = Math.min(lengthBytes, MAX_RW_BYTES);
    for (let done = 0; done < total;) {
      const left = PAGE_BYTES - (va + done) % PAGE_BYTES;
      const length = Math.min(left, total - done);
      if (!io.add(this.#space.locate(va + done), length)) break;
      done += length;
    }
    return io;
  }

  /** Appends a buffer to the I/O vector; returns whether all of it fit. */
  #append(va: number, lengthBytes: number): boolean {
    const io = this.#io;
    const { tables } = this.#space;
    for (let done = 0; done < lengthBytes;) {
      // So much that it shows that there is more, and that is for later.
      if (io.lengthBytes > STEP_BYTES) return false;
      const gpa = this.translate(va + done, io.into);
      if (gpa < 0) {
        const found = this.#space.outer.shared(va + done, io.into);
        if (!found) {
          io.isCut = true;
          return false;
        }
        const left = PAGE_BYTES - (va + done) % PAGE_BYTES;
        const length = Math.min(left, lengthBytes - done);
        // A page that its file does not have any more can be used by nobody.
        if (!this.#memory.files.read(found.host, this.#oneByte)) {
          io.isCut = true;
          return false;
        }
        if (!io.addShared(found.host, length)) return false;
        done += length;
        continue;
      }
      const length = tables.extent(va + done, io.into, lengthBytes - done);
      if (!io.add(gpa, length)) return false;
      done += length;
    }
    return true;
  }

  /** The memory of the buffers that an iovec array names, as readv(2) has it. */
  vector(
    va: number,
    count: number,
    into: boolean,
    skipBytes = 0,
  ): IoVector | number {
    const io = this.#io;
    io.reset(into);
    if (!(count >= 0 && count <= IOV_MAX)) return -ERRNO.EINVAL;
    const bytes = new Uint8Array(this.#iovecs.buffer, 0, count * 16);
    if (!this.read(va, bytes)) return -ERRNO.EFAULT;
    for (let i = 0; i < count; i++) {
      const lengthHigh = this.#iovecs.getUint32(i * 16 + 12, true);
      if (lengthHigh >= 0x8000_0000) return -ERRNO.EINVAL;
    }
    let total = 0;
    for (let i = 0; i < count; i++) {
      const base = this.#address(i * 16);
      const length = this.#address(i * 16 + 8);
      if (!this.inRange(base, length)) return -ERRNO.EFAULT;
      total += Math.min(length, MAX_RW_BYTES - total);
    }
    io.wantedBytes = total - skipBytes;
    let skip = skipBytes;
    for (let i = 0; i < count; i++) {
      const base = this.#address(i * 16);
      const length = Math.min(
        this.#address(i * 16 + 8),
        MAX_RW_BYTES - io.lengthBytes,
      );
      const skipped = Math.min(skip, length);
      skip -= skipped;
      if (length === skipped) continue;
      if (!this.#append(base + skipped, length - skipped)) break;
    }
    return io;
  }

  /** A 64-bit number of the iovec array. */
  #address(at: number): number {
    return this.#iovecs.getUint32(at + 4, true) * 0x1_0000_0000 +
      this.#iovecs.getUint32(at, true);
  }

  /** Writes `bytes` wherever the program's areas are, whatever they allow. */
  load(va: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const gpa = this.#space.locate(va + done);
      const length = Math.min(
        bytes.length - done,
        PAGE_BYTES - (va + done) % PAGE_BYTES,
      );
      this.#memory.write(gpa, bytes.subarray(done, done + length));
      done += length;
    }
  }

  /** The UTF-8 bytes of a text, or bytes, and a zero. */
  static zeroTerminated(text: string | Uint8Array): Uint8Array {
    if (typeof text === "string") return encoder.encode(`${text}\0`);
    const bytes = new Uint8Array(text.length + 1);
    bytes.set(text);
    return bytes;
  }
}
