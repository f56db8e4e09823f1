/**
 * A pipe inside the VM: its bytes are the VMM's, and travel with it.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { O, POLL, READABLE, S_IF, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { gather, OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** How many bytes a pipe holds (pipe(7)). */
export const PIPE_BYTES = 65536;

/** The least and the most that F_SETPIPE_SZ sets (fcntl(2)). */
export const MIN_PIPE_BYTES = 4096;
/** See {@linkcode MIN_PIPE_BYTES}; pipe-max-size of proc(5). */
export const MAX_PIPE_BYTES = 1024 * 1024;

/**
 * Most bytes that pipes may hold together, where any is made larger: Linux's
 * pipe-user-pages-soft (proc(5)), for anybody but a superuser.
 */
export const MAX_ALL_PIPES_BYTES = 16384 * 4096;

/** Writes up to this size are not split (pipe(7)'s PIPE_BUF). */
const ATOMIC_BYTES = 4096;

/** Bytes that wait together: a packet, or those between two packets. */
export interface Segment {
  /** How many bytes. */
  lengthBytes: number;
  /** Whether it is one write (O_DIRECT), which one read takes. */
  readonly isPacket: boolean;
}

/** The bytes between a pipe's two ends: a ring. */
export class PipeBuffer {
  /**
   * The oldest bytes, packet by packet; those behind the last one are in none.
   * Empty in a pipe that nobody writes packets to.
   */
  readonly segments: Segment[] = [];
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
   * @param capacityBytes how much it holds @param segments the packets in it
   */
  constructor(
    inode: number,
    content: Uint8Array = new Uint8Array(),
    capacityBytes = PIPE_BYTES,
    segments: readonly Segment[] = [],
  ) {
    this.segments.push(...segments.map((one) => ({ ...one })));
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
  content(mostBytes = Infinity): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.min(this.lengthBytes, mostBytes));
    const end = this.#start + bytes.length;
    const first = this.#ring.subarray(this.#start, end);
    bytes.set(first);
    const rest = bytes.length - first.length;
    bytes.set(this.#ring.subarray(0, rest), first.length);
    return bytes;
  }

  /** The bytes that wait, where they are, the oldest first. */
  pieces(): Uint8Array[] {
    const end = this.#start + this.lengthBytes;
    return [
      this.#ring.subarray(this.#start, end),
      this.#ring.subarray(0, Math.max(end - this.#ring.length, 0)),
    ];
  }

  /** Moves the oldest bytes into `io`, of a packet at most one; how many. */
  take(io: IoVector): number {
    const { given, dropped } = this.#nextRead(io.lengthBytes);
    let done = 0;
    let at = this.#start;
    io.forEach((piece) => {
      while (piece.length > 0 && done < given) {
        const n = Math.min(
          piece.length,
          given - done,
          this.#ring.length - at,
        );
        piece.set(this.#ring.subarray(at, at + n));
        piece = piece.subarray(n);
        at = (at + n) % this.#ring.length;
        done += n;
      }
    });
    this.drop(dropped);
    return done;
  }

  /** What one read takes, and what it leaves to nobody: a packet's rest. */
  #nextRead(mostBytes: number): { given: number; dropped: number } {
    let given = 0;
    let known = 0;
    for (const { isPacket, lengthBytes } of this.segments) {
      const part = Math.min(lengthBytes, mostBytes - given);
      given += part;
      known += lengthBytes;
      if (isPacket) return { given, dropped: given - part + lengthBytes };
      if (given === mostBytes) return { given, dropped: given };
    }
    given += Math.min(this.lengthBytes - known, mostBytes - given);
    return { given, dropped: given };
  }

  /** Drops the oldest bytes. */
  drop(lengthBytes: number): void {
    if (lengthBytes === 0) return;
    const wasFull = this.roomBytes < ATOMIC_BYTES;
    this.#start = (this.#start + lengthBytes) % this.#ring.length;
    this.lengthBytes -= lengthBytes;
    for (let left = lengthBytes; left > 0 && this.segments.length > 0;) {
      const [first] = this.segments;
      const part = Math.min(left, first.lengthBytes);
      first.lengthBytes -= part;
      left -= part;
      if (first.lengthBytes === 0) this.segments.shift();
    }
    // Of room where there was room before Linux says nothing.
    const hasRoom = wasFull && this.roomBytes >= ATOMIC_BYTES;
    this.wake(hasRoom ? WRITABLE : undefined);
  }

  /** Moves as many of `io`'s bytes in as there is room for; returns how many. */
  put(io: IoVector): number {
    let done = 0;
    io.forEach((piece) => done += this.#append(piece));
    if (done > 0) this.wake(READABLE);
    return done;
  }

  /** Moves bytes in, as many as there is room for; returns how many. */
  putBytes(bytes: Uint8Array): number {
    const done = this.#append(bytes);
    if (done > 0) this.wake(READABLE);
    return done;
  }

  #append(bytes: Uint8Array): number {
    let done = 0;
    const { length } = this.#ring;
    while (done < bytes.length && this.roomBytes > 0) {
      const at = (this.#start + this.lengthBytes) % length;
      const n = Math.min(bytes.length - done, this.roomBytes, length - at);
      this.#ring.set(bytes.subarray(done, done + n), at);
      this.lengthBytes += n;
      done += n;
    }
    return done;
  }

  /** Whether one more packet finds room: each takes pages of its own. */
  hasRoomForPacket(lengthBytes: number): boolean {
    const pages = this.segments.reduce(
      (n, one) => n + Math.ceil(one.lengthBytes / ATOMIC_BYTES),
      0,
    );
    return this.roomBytes >= lengthBytes &&
      (pages + 1) * ATOMIC_BYTES <= this.capacityBytes;
  }

  /** Moves bytes in as packets, as many as there is room for; how many bytes. */
  putPackets(bytes: Uint8Array): number {
    const known = this.segments.reduce((n, one) => n + one.lengthBytes, 0);
    // What waits and is in no segment yet comes before.
    const rest = this.lengthBytes - known;
    if (rest > 0) this.segments.push({ lengthBytes: rest, isPacket: false });
    let done = 0;
    while (done < bytes.length) {
      const packet = bytes.subarray(done, done + ATOMIC_BYTES);
      if (!this.hasRoomForPacket(packet.length)) break;
      done += this.#append(packet);
      this.segments.push({ lengthBytes: packet.length, isPacket: true });
    }
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
    if (this.flags & O.direct) {
      return this.pipe.hasRoomForPacket(Math.min(lengthBytes, ATOMIC_BYTES));
    }
    return lengthBytes <= ATOMIC_BYTES ? room >= lengthBytes : room > 0;
  }

  override write(io: IoVector): number {
    if (io.lengthBytes === 0) return 0;
    if (!this.pipe.open.read) return -ERRNO.EPIPE;
    if (!this.#hasRoom(io.lengthBytes)) return -ERRNO.EAGAIN;
    if (isCutWithinPage(io)) return -ERRNO.EFAULT;
    if ((this.flags & O.direct) === 0) return this.pipe.put(io);
    return this.pipe.putPackets(gather(io, MAX_PIPE_BYTES));
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
    const room = pipe.roomBytes >= ATOMIC_BYTES && pipe.hasRoomForPacket(0);
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
