/**
 * A file that signals can be read from (signalfd(2)).
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { ANONYMOUS_INODE } from "./event_file.ts";
import { O, POLL } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** Bytes of a `struct signalfd_siginfo`. */
const RECORD_BYTES = 128;

/** The program's signals, as its files see them. */
export interface SignalSource {
  /** Told of each signal that begins to wait. */
  readonly waiters: Waiters;
  /** Which signals wait for the task that makes the call: bit N - 1 is N. */
  waiting(): bigint;
  /** Takes the next one of `set`; what a read gives of it, 128 bytes. */
  takeRecord(set: bigint): Uint8Array | undefined;
}

/** An open file of signalfd. */
export class SignalFile extends OpenFile {
  readonly type = "signalfd";
  #mask: bigint;
  #source: SignalSource | undefined;
  #stop: (() => void) | undefined;
  readonly #waiters = new Waiters();

  /** @param flags O_NONBLOCK or 0 @param mask the signals that are read */
  constructor(flags: number, mask: bigint) {
    super(O.readWrite | flags);
    this.#mask = mask;
  }

  /** The signals that are read from it: bit N - 1 is signal N. */
  get mask(): bigint {
    return this.#mask;
  }

  set mask(mask: bigint) {
    this.#mask = mask;
    this.#waiters.wake(this.poll(POLL.in));
  }

  /** Reads the signals of `source` from now on. */
  attach(source: SignalSource): void {
    this.#stop?.();
    this.#source = source;
    const own = source.waiters;
    this.#stop = own.watch(() => this.#waiters.wake(POLL.in));
  }

  override read(io: IoVector): number {
    const most = Math.floor(io.wantedBytes / RECORD_BYTES);
    if (most === 0) return -ERRNO.EINVAL;
    const records: Uint8Array[] = [];
    // One more than there is room for is lost, as it is with Linux.
    const room = Math.floor(io.lengthBytes / RECORD_BYTES);
    const wanted = Math.min(most, Math.max(room, 1));
    while (records.length < wanted) {
      const record = this.#source?.takeRecord(this.#mask);
      if (!record) break;
      records.push(record);
    }
    if (records.length === 0) return -ERRNO.EAGAIN;
    if (room === 0) return -ERRNO.EFAULT;
    const bytes = new Uint8Array(records.length * RECORD_BYTES);
    records.forEach((record, i) => bytes.set(record, i * RECORD_BYTES));
    return io.fill(bytes);
  }

  override readFault(): number {
    const taken = this.#source?.takeRecord(this.#mask);
    return taken ? -ERRNO.EFAULT : -ERRNO.EAGAIN;
  }

  override seek(): number {
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, 0o600, ANONYMOUS_INODE);
  }

  override poll(events: number): number {
    const waiting = (this.#source?.waiting() ?? 0n) & this.#mask;
    return events & (waiting ? POLL.in : 0);
  }

  override wait(_events: number, signal: AbortSignal): Promise<void> {
    return this.#waiters.changed(signal);
  }

  override get isWatchable(): boolean {
    return true;
  }

  override watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }

  override close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
