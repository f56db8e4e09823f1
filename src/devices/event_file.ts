/**
 * A counter that can be waited for (eventfd(2)).
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { O, POLL } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { gather, OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** The highest value that a counter can have. */
export const MAX_EVENT_VALUE = 0xffff_ffff_ffff_fffen;

/** The inode that all files without one of their own show. */
export const ANONYMOUS_INODE = 0xa00;

/** An open file of eventfd. */
export class EventFile extends OpenFile {
  readonly type = "eventfd";
  /** Whether a read takes one, instead of all (EFD_SEMAPHORE). */
  readonly isSemaphore: boolean;
  #value: bigint;
  readonly #waiters = new Waiters();

  /** @param flags O_NONBLOCK or 0 @param value where it begins */
  constructor(flags: number, value: bigint, isSemaphore: boolean) {
    super(O.readWrite | flags);
    this.#value = value;
    this.isSemaphore = isSemaphore;
  }

  /** The counter. */
  get value(): bigint {
    return this.#value;
  }

  override read(io: IoVector): number {
    if (io.wantedBytes < 8) return -ERRNO.EINVAL;
    if (this.#value === 0n) return -ERRNO.EAGAIN;
    const taken = this.isSemaphore ? 1n : this.#value;
    this.#value -= taken;
    this.#waiters.wake(POLL.out);
    if (io.lengthBytes < 8) return -ERRNO.EFAULT;
    return io.fill(new Uint8Array(new BigUint64Array([taken]).buffer));
  }

  override readFault(): number {
    return this.#value === 0n ? -ERRNO.EAGAIN : super.readFault();
  }

  override write(io: IoVector): number {
    if (io.wantedBytes < 8) return -ERRNO.EINVAL;
    if (io.lengthBytes < 8) return -ERRNO.EFAULT;
    const added = new DataView(gather(io, 8).buffer).getBigUint64(0, true);
    if (added > MAX_EVENT_VALUE) return -ERRNO.EINVAL;
    if (added > MAX_EVENT_VALUE - this.#value) return -ERRNO.EAGAIN;
    this.#value += added;
    this.#waiters.wake(POLL.in);
    return 8;
  }

  override writeFault(lengthBytes: number): number {
    return lengthBytes < 8 ? -ERRNO.EINVAL : -ERRNO.EFAULT;
  }

  override seek(): number {
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, 0o600, ANONYMOUS_INODE);
  }

  override poll(events: number): number {
    return events & ((this.#value > 0n ? POLL.in : 0) |
      (this.#value < MAX_EVENT_VALUE ? POLL.out : 0));
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
}
