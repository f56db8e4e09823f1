/**
 * A timer that can be waited for (timerfd_create(2)).
 *
 * One that counts monotonic time goes on after a thaw with the time that was
 * left; one set to a time of the wall clock goes by the wall clock.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import type { Clock } from "./clock.ts";
import { ANONYMOUS_INODE } from "./event_file.ts";
import { O, POLL } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** Longest timer that setTimeout takes, ms. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** What a timer is set to. */
export interface TimerSetting {
  /** When it expires next, ns of its clock; null: it is not armed. */
  readonly dueNs: number | null;
  /** From one expiration to the next, ns; 0: there is one only. */
  readonly intervalNs: number;
  /** Whether `dueNs` is of the wall clock, and not of monotonic time. */
  readonly isWallClock: boolean;
}

/** What travels of a timer besides its setting. */
export interface TimerState extends TimerSetting {
  /** Expirations up to now that were not read. */
  readonly expirations: number;
}

/** A timer that is not armed. */
export const UNARMED: TimerState = {
  dueNs: null,
  intervalNs: 0,
  isWallClock: false,
  expirations: 0,
};

/** An open file of timerfd. */
export class TimerFile extends OpenFile {
  readonly type = "timerfd";
  /** The number of its clock (linux/time.h). */
  readonly clockId: number;
  readonly #clock: Clock;
  readonly #waiters = new Waiters();
  #setting: TimerSetting;
  #expirations: number;
  /** How often it has expired at all: it is ready anew each time. */
  #edges = 0;

  /** @param flags O_NONBLOCK or 0 @param state as it was saved */
  constructor(
    clock: Clock,
    clockId: number,
    flags: number,
    state: TimerState = UNARMED,
  ) {
    super(O.readWrite | flags);
    this.#clock = clock;
    this.clockId = clockId;
    const { expirations, ...setting } = state;
    this.#setting = setting;
    this.#expirations = expirations;
  }

  #nowNs(isWallClock: boolean): number {
    if (!isWallClock) return this.#clock.monotonicNs();
    this.#clock.readRealtime();
    return this.#clock.seconds * 1e9 + this.#clock.nanoseconds;
  }

  /** Counts what has expired meanwhile. */
  #expire(): void {
    const { dueNs, intervalNs, isWallClock } = this.#setting;
    if (dueNs === null) return;
    const passed = this.#nowNs(isWallClock) - dueNs;
    if (passed < 0) return;
    const times = intervalNs > 0 ? 1 + Math.floor(passed / intervalNs) : 1;
    this.#expirations = Math.min(
      this.#expirations + times,
      Number.MAX_SAFE_INTEGER,
    );
    this.#edges++;
    this.#setting = {
      ...this.#setting,
      dueNs: intervalNs > 0 ? dueNs + times * intervalNs : null,
    };
  }

  /** What travels. */
  state(): TimerState {
    this.#expire();
    return { ...this.#setting, expirations: this.#expirations };
  }

  /** Sets it: what was counted before is gone. */
  set(setting: TimerSetting): void {
    this.#setting = setting;
    this.#expirations = 0;
    // Whoever waits must wait for another time now.
    this.#waiters.wake(0);
  }

  /** Nanoseconds that are left, at least 1 while it is armed; and its interval. */
  left(): { leftNs: number; intervalNs: number } {
    this.#expire();
    const { dueNs, intervalNs, isWallClock } = this.#setting;
    const leftNs = dueNs === null
      ? 0
      : Math.max(1, Math.ceil(dueNs - this.#nowNs(isWallClock)));
    return { leftNs, intervalNs };
  }

  override read(io: IoVector): number {
    if (io.wantedBytes < 8) return -ERRNO.EINVAL;
    this.#expire();
    if (this.#expirations === 0) return -ERRNO.EAGAIN;
    const count = BigInt(this.#expirations);
    this.#expirations = 0;
    if (io.lengthBytes < 8) return -ERRNO.EFAULT;
    return io.fill(new Uint8Array(new BigUint64Array([count]).buffer));
  }

  override readFault(): number {
    this.#expire();
    return this.#expirations === 0 ? -ERRNO.EAGAIN : super.readFault();
  }

  override seek(): number {
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, 0o600, ANONYMOUS_INODE);
  }

  override poll(events: number): number {
    this.#expire();
    return events & (this.#expirations > 0 ? POLL.in : 0);
  }

  override async wait(_events: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    const leftMs = this.leftMs();
    const timer = leftMs < Infinity ? setTimeout(abort, leftMs) : undefined;
    await this.#waiters.changed(stop.signal);
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }

  override leftMs(): number {
    const { dueNs, isWallClock } = this.#setting;
    if (dueNs === null) return Infinity;
    const left = Math.ceil((dueNs - this.#nowNs(isWallClock)) / 1e6);
    return Math.min(Math.max(left, 0), MAX_TIMER_MS);
  }

  override get isWatchable(): boolean {
    return true;
  }

  override get edges(): number {
    this.#expire();
    return this.#edges;
  }

  override watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }
}
