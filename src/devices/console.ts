/**
 * The program's standard input, output and error.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import {
  fstat,
  ioctl,
  lseek,
  pollNow,
  pollUntil,
  readv,
  writev,
  writevNoWait,
} from "./host_calls.ts";
import { O, POLL, READABLE, S_IF, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** How much may be written to a file that can wait without asking it again. */
const SAFE_WRITE_BYTES = 4096;

/** One of the VMM's own three descriptors. */
export class HostStream extends OpenFile {
  readonly type = "console";
  /** 0, 1 or 2. */
  readonly stream: number;
  readonly #canWait: boolean;
  #moves = 0;

  /** @param stream 0, 1 or 2 @param flags O_* flags the program sees */
  constructor(stream: number, flags: number) {
    super(flags);
    this.stream = stream;
    const stat = new Uint8Array(144);
    const known = fstat(stream, stat) >= 0;
    const mode = new DataView(stat.buffer).getUint32(24, true);
    this.#canWait = known && (mode & S_IF.mask) !== S_IF.regular;
  }

  override get hostFd(): number {
    return this.stream;
  }

  override get isWatchable(): boolean {
    return this.#canWait;
  }

  /** Who moved bytes may have emptied it, or filled: what holds then is new. */
  override get edges(): number {
    return this.#moves;
  }

  override read(io: IoVector): number {
    this.#moves++;
    if (this.#canWait && pollNow(this.stream, POLL.in) === 0) {
      return -ERRNO.EAGAIN;
    }
    return readv(this.stream, io);
  }

  override write(io: IoVector): number {
    this.#moves++;
    if (!this.#canWait) return writev(this.stream, io);
    const done = writevNoWait(this.stream, io);
    if (done !== -ERRNO.EOPNOTSUPP) return done;
    if (pollNow(this.stream, POLL.out) === 0) return -ERRNO.EAGAIN;
    io.limit(SAFE_WRITE_BYTES);
    return writev(this.stream, io);
  }

  override seek(offset: number, whence: number): number {
    return lseek(this.stream, offset, whence);
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return fstat(this.stream, stat);
  }

  override poll(events: number): number {
    return pollNow(this.stream, events);
  }

  override wait(events: number, signal: AbortSignal): Promise<void> {
    return pollUntil(this.stream, events, signal);
  }

  override ioctl(request: number, argument: Uint8Array<ArrayBuffer>): number {
    return ioctl(this.stream, request, argument);
  }
}

/** Where a script's console writes go. */
export interface ScriptConsoleOptions {
  /** Called with each piece of standard output; the bytes are its own. */
  readonly stdout?: (bytes: Uint8Array) => void;
  /** Called with each piece of standard error. */
  readonly stderr?: (bytes: Uint8Array) => void;
}

/** Standard input, output and error in the hands of a script. */
export class ScriptConsole {
  #input: Uint8Array[] = [];
  #ended = false;
  readonly #waiters = new Waiters();
  readonly #options: ScriptConsoleOptions;

  /**
   * A console without input.
   *
   * @param options where output goes; dropped where nothing is given
   */
  constructor(options: ScriptConsoleOptions = {}) {
    this.#options = options;
  }

  /** Gives the program more to read. */
  push(bytes: Uint8Array | string): void {
    const data = typeof bytes === "string"
      ? new TextEncoder().encode(bytes)
      : bytes.slice();
    if (data.length > 0) this.#input.push(data);
    this.#waiters.wake();
  }

  /** Ends the input: the program reads 0 bytes when it has had the rest. */
  end(): void {
    this.#ended = true;
    this.#waiters.wake();
  }

  /** What was pushed and not read yet. */
  unread(): Uint8Array {
    const bytes = new Uint8Array(this.#input.reduce((n, b) => n + b.length, 0));
    let at = 0;
    for (const part of this.#input) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Whether the input has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Moves input into `io`; -EAGAIN when there is none yet.
   *
   * @internal
   */
  read(io: IoVector): number {
    let done = 0;
    io.forEach((piece) => {
      while (piece.length > 0 && this.#input.length > 0) {
        const head = this.#input[0].subarray(0, piece.length);
        piece.set(head);
        piece = piece.subarray(head.length);
        done += head.length;
        if (head.length === this.#input[0].length) this.#input.shift();
        else this.#input[0] = this.#input[0].subarray(head.length);
      }
    });
    if (done > 0 || io.lengthBytes === 0 || this.#ended) return done;
    return -ERRNO.EAGAIN;
  }

  /**
   * Hands output to the script.
   *
   * @internal
   */
  write(stream: number, io: IoVector): number {
    const take = stream === 2 ? this.#options.stderr : this.#options.stdout;
    if (take) io.forEach((piece) => take(piece.slice()));
    return io.lengthBytes;
  }

  /**
   * Whether there is something to read.
   *
   * @internal
   */
  get hasInput(): boolean {
    return this.#input.length > 0;
  }

  /**
   * Whether a read would not wait.
   *
   * @internal
   */
  get isReadable(): boolean {
    return this.#input.length > 0 || this.#ended;
  }

  /**
   * Resolves when there is more input, or when `signal` aborts.
   *
   * @internal
   */
  changed(signal: AbortSignal): Promise<void> {
    return this.#waiters.changed(signal);
  }

  /**
   * Calls `watcher` when there is more input.
   *
   * @internal
   */
  watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }
}

/** One of the three streams of a {@linkcode ScriptConsole}. */
export class ScriptStream extends OpenFile {
  readonly type = "console";
  /** 0, 1 or 2. */
  readonly stream: number;
  readonly #console: ScriptConsole;

  /** @param stream 0, 1 or 2 */
  constructor(script: ScriptConsole, stream: number) {
    super(stream === 0 ? O.readOnly : O.writeOnly);
    this.stream = stream;
    this.#console = script;
  }

  override read(io: IoVector): number {
    return this.#console.read(io);
  }

  override write(io: IoVector): number {
    return this.#console.write(this.stream, io);
  }

  override readFault(): number {
    if (!this.#console.isReadable) return -ERRNO.EAGAIN;
    return this.#console.hasInput ? super.readFault() : 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, S_IF.fifo | 0o600, 1 + this.stream);
  }

  override poll(events: number): number {
    const ready = this.stream !== 0
      ? WRITABLE
      : this.#console.isReadable
      ? READABLE
      : 0;
    return events & ready;
  }

  override get isWatchable(): boolean {
    return true;
  }

  override watch(watcher: Watcher): () => void {
    if (this.stream !== 0) return super.watch(watcher);
    return this.#console.watch(watcher);
  }

  override wait(_events: number, signal: AbortSignal): Promise<void> {
    return this.#console.changed(signal);
  }
}
