/**
 * A pipe inside the VM: its bytes are the VMM's, and travel with it.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { O, POLL, READABLE, S_IF, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** How many bytes a pipe holds (pipe(7)). */
export const PIPE_BYTES = 65536;

/** The least and the most that F_SETPIPE_SZ sets (fcntl(2)). */
export const MIN_PIPE_BYTES = 4096;
/** See {@linkcode MIN_PIPE_BYTES}; pipe-max-size of proc(5). */
export const MAX_PIPE_BYTES = 1024 * 1024;

/** Writes up to this size are not split (pipe(7)'s PIPE_BUF). */
const ATOMIC_BYTES = 4096;

/** The bytes between a pipe's two ends: a ring. */
export class PipeBuffer {
  #ring: Uint8Array;
  #start = 0;
  /** How many bytes wait to be read. */
  lengthBytes = 0;
  /** Whether each end is open still. */
  readonly open = { read: true, write: true };
  /** The inode that fstat shows; both ends' alike. */
  readonly inode: number;
  /** Calls waiting for the other end to move. */
  readonly #waiters = new Waiters();

  /**
   * @param inode what fstat shows @param content bytes that wait already
   * @param capacityBytes how much it holds
   */
  constructor(
    inode: number,
    content: Uint8Array = new Uint8Array(),
    capacityBytes = PIPE_BYTES,
  ) {
    this.inode = inode;
    this.#ring = new Uint8Array(Math.max(capacityBytes, content.length));
    this.#ring.set(content);
    this.lengthBytes = content.length;
  }

  /** How many bytes it holds. */
  get capacityBytes(): number {
    return this.#ring.length;
  }

  /** How many more bytes find room. */
  get roomBytes(): number {
    return this.#ring.length - this.lengthBytes;
  }

  /**
   * Makes it hold `capacityBytes`; returns whether what waits finds room then.
   */
  resize(capacityBytes: number): boolean {
    if (this.lengthBytes > capacityBytes) return false;
    const content = this.content();
    this.#ring = new Uint8Array(capacityBytes);
    this.#ring.set(content);
    this.#start = 0;
    this.wake(WRITABLE);
    return true;
  }

  /** A copy of the bytes that wait, the oldest first. */
  content(): Uint8Array {
    const bytes = new Uint8Array(this.lengthBytes);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = this.#ring[(this.#start + i) % this.#ring.length];
    }
    return bytes;
  }

  /** Moves the oldest bytes into `io`; returns how many. */
  take(io: IoVector): number {
    let done = 0;
    const { length } = this.#ring;
    const wasFull = this.roomBytes < ATOMIC_BYTES;
    io.forEach((piece) => {
      while (piece.length > 0 && this.lengthBytes > 0) {
        const n = Math.min(
          piece.length,
          this.lengthBytes,
          length - this.#start,
        );
        piece.set(this.#ring.subarray(this.#start, this.#start + n));
        piece = piece.subarray(n);
        this.#start = (this.#start + n) % length;
        this.lengthBytes -= n;
        done += n;
      }
    });
    // Of room where there was room before Linux says nothing.
    const hasRoom = wasFull && this.roomBytes >= ATOMIC_BYTES;
    if (done > 0) this.wake(hasRoom ? WRITABLE : undefined);
    return done;
  }

  /** Moves as many of `io`'s bytes in as there is room for; returns how many. */
  put(io: IoVector): number {
    let done = 0;
    const { length } = this.#ring;
    io.forEach((piece) => {
      while (piece.length > 0 && this.roomBytes > 0) {
        const at = (this.#start + this.lengthBytes) % length;
        const n = Math.min(
          piece.length,
          this.roomBytes,
          length - at,
        );
        this.#ring.set(piece.subarray(0, n), at);
        piece = piece.subarray(n);
        this.lengthBytes += n;
        done += n;
      }
    });
    if (done > 0) this.wake(READABLE);
    return done;
  }

  /**
   * Tells those who wait that something changed.
   *
   * @param events what those are told who watch: absent, nothing
   */
  wake(events?: number): void {
    if (events === undefined) this.#waiters.wakeWaiting();
    else this.#waiters.wake(events);
  }

  /** Calls `watcher` at each change, until what is returned is called. */
  watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }

  /** Resolves at the next change, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#waiters.changed(signal);
  }
}

/**
 * Cuts memory that is not all there to whole pages, as which the kernel moves a
 * pipe's bytes; returns whether nothing remains.
 */
function isCutWithinPage(io: IoVector): boolean {
  if (!io.isCut) return false;
  io.limit(io.lengthBytes - io.lengthBytes % ATOMIC_BYTES);
  return io.lengthBytes === 0;
}

/** One end of a pipe. */
export class PipeEnd extends OpenFile {
  readonly type = "pipe";
  /** What both ends share. */
  readonly pipe: PipeBuffer;

  /** @param flags O_RDONLY for the read end, O_WRONLY for the write end */
  constructor(pipe: PipeBuffer, flags: number) {
    super(flags);
    this.pipe = pipe;
  }

  override read(io: IoVector): number {
    if (io.lengthBytes === 0) return 0;
    if (this.pipe.lengthBytes > io.lengthBytes && isCutWithinPage(io)) {
      return -ERRNO.EFAULT;
    }
    if (this.pipe.lengthBytes > 0) return this.pipe.take(io);
    return this.pipe.open.write ? -ERRNO.EAGAIN : 0;
  }

  override readFault(): number {
    if (this.pipe.lengthBytes > 0) return super.readFault();
    return this.pipe.open.write ? -ERRNO.EAGAIN : 0;
  }

  override writeFault(lengthBytes: number): number {
    if (!this.pipe.open.read) return -ERRNO.EPIPE;
    return this.#hasRoom(lengthBytes) ? super.writeFault(0) : -ERRNO.EAGAIN;
  }

  /** Whether a write of so many bytes, or its first part, finds room. */
  #hasRoom(lengthBytes: number): boolean {
    const room = this.pipe.roomBytes;
    return lengthBytes <= ATOMIC_BYTES ? room >= lengthBytes : room > 0;
  }

  override write(io: IoVector): number {
    if (io.lengthBytes === 0) return 0;
    if (!this.pipe.open.read) return -ERRNO.EPIPE;
    if (!this.#hasRoom(io.lengthBytes)) return -ERRNO.EAGAIN;
    if (isCutWithinPage(io)) return -ERRNO.EFAULT;
    return this.pipe.put(io);
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, S_IF.fifo | 0o600, this.pipe.inode);
  }

  override poll(events: number): number {
    const { pipe } = this;
    if (this.isReadable) {
      return (events & (pipe.lengthBytes > 0 ? READABLE : 0)) |
        (pipe.open.write ? 0 : POLL.hup);
    }
    const room = pipe.roomBytes >= ATOMIC_BYTES;
    return (events & (room ? WRITABLE : 0)) | (pipe.open.read ? 0 : POLL.err);
  }

  override wait(_events: number, signal: AbortSignal): Promise<void> {
    return this.pipe.changed(signal);
  }

  override get isWatchable(): boolean {
    return true;
  }

  override watch(watcher: Watcher): () => void {
    const own = this.isReadable ? READABLE | POLL.hup : WRITABLE | POLL.err;
    return this.pipe.watch((events) => {
      if (events & own) watcher(events & own);
    });
  }

  override close(): void {
    if ((this.flags & O.accessMode) === O.readOnly) this.pipe.open.read = false;
    else this.pipe.open.write = false;
    this.pipe.wake(READABLE | WRITABLE | POLL.err | POLL.hup);
  }
}
