/**
 * A file that tells of changes of other files (inotify(7)).
 *
 * The host watches. Its numbers of watches are others than the program's, which
 * stay the same behind a thaw: there each watch is made again, by its path. What
 * changed in between is not told.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { ANONYMOUS_INODE } from "./event_file.ts";
import { close, pollNow } from "./host_calls.ts";
import { O, POLL } from "./host_constants.ts";
import {
  inotifyAdd,
  inotifyInit,
  inotifyRead,
  inotifyRemove,
} from "./inotify_calls.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import { pollUntil } from "./host_poller.ts";

/** Bytes of a `struct inotify_event` before its name. */
const EVENT_BYTES = 16;

/** How much of events is read from the host at once, and kept at most. */
const READ_BYTES = 65536;
/** See {@linkcode READ_BYTES}. */
export const MAX_INOTIFY_BYTES = 2 * READ_BYTES;

/** Most watches of one file. */
export const MAX_WATCHES = 8192;

/** Bits of masks and events (linux/inotify.h). */
const IN = { create: 0x1000_0000, add: 0x2000_0000, ignored: 0x8000 } as const;

/** How a watch travels. */
export interface WatchState {
  /** Its number. */
  readonly number: number;
  /** What it watches: a path in the program's root, a character a byte. */
  readonly path: string;
  /** For which events. */
  readonly mask: number;
}

/** What travels of the file. */
export interface InotifyState {
  /** Its watches. */
  readonly watches: readonly WatchState[];
  /** The number of the next one. */
  readonly next: number;
  /** Events that were not read. */
  readonly events: Uint8Array;
}

/** Whether bytes are whole events. */
export function areEvents(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + EVENT_BYTES <= bytes.length) {
    at += EVENT_BYTES + view.getUint32(at + 12, true);
  }
  return at === bytes.length;
}

interface Watch extends WatchState {
  /** Its number on the host; -1: it could not be made again. */
  readonly host: number;
}

/** An open file of inotify. */
export class InotifyFile extends OpenFile {
  readonly type = "inotify";
  readonly #fd: number;
  readonly #watches = new Map<number, Watch>();
  #next: number;
  /** Events that were read from the host, numbered as the program has them. */
  #events: Uint8Array;
  #reads = 0;

  private constructor(fd: number, flags: number, state?: InotifyState) {
    super(O.readOnly | flags);
    this.#fd = fd;
    this.#next = state?.next ?? 1;
    this.#events = state?.events.slice() ?? new Uint8Array();
  }

  /** Makes one; a negative errno where the host has none left. */
  static make(flags: number): InotifyFile | number {
    const fd = inotifyInit();
    return fd < 0 ? fd : new InotifyFile(fd, flags);
  }

  /**
   * Makes one again that was saved.
   *
   * @param open opens what a path leads to, to be looked at; or gives an errno
   */
  static restore(
    flags: number,
    state: InotifyState,
    open: (path: string) => number,
  ): InotifyFile | number {
    const fd = inotifyInit();
    if (fd < 0) return fd;
    const file = new InotifyFile(fd, flags, state);
    for (const { number, path, mask } of state.watches) {
      const of = open(path);
      const host = of < 0 ? -1 : inotifyAdd(fd, of, mask);
      if (of >= 0) close(of);
      if (host >= 0) file.#watches.set(number, { number, path, mask, host });
      else file.#add(number, IN.ignored); // it is not there any more
    }
    return file;
  }

  override get hostFd(): number {
    return this.#fd;
  }

  #byHost(host: number): Watch | undefined {
    for (const watch of this.#watches.values()) {
      if (watch.host === host) return watch;
    }
    return undefined;
  }

  /**
   * Watches what a descriptor of the host's stands for, or changes for what.
   *
   * @returns the number of the watch, or a negative errno
   */
  watchFile(of: number, path: string, mask: number): number {
    if (this.#watches.size >= MAX_WATCHES) return -ERRNO.ENOSPC;
    const host = inotifyAdd(this.#fd, of, mask);
    if (host < 0) return host;
    const known = this.#byHost(host);
    const number = known?.number ?? this.#next++;
    const events = mask & ~(IN.add | IN.create) |
      (mask & IN.add ? known?.mask ?? 0 : 0);
    this.#watches.set(number, { number, path, mask: events >>> 0, host });
    return number;
  }

  /** Ends a watch: 0 or a negative errno. */
  unwatch(number: number): number {
    const watch = this.#watches.get(number);
    return watch ? inotifyRemove(this.#fd, watch.host) : -ERRNO.EINVAL;
  }

  /** Appends an event without a name, if there is room. */
  #add(number: number, mask: number): void {
    if (this.#events.length + EVENT_BYTES > MAX_INOTIFY_BYTES) return;
    const event = new DataView(new ArrayBuffer(EVENT_BYTES));
    event.setInt32(0, number, true);
    event.setUint32(4, mask, true);
    this.#append(new Uint8Array(event.buffer));
  }

  #append(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#events.length + bytes.length);
    all.set(this.#events);
    all.set(bytes, this.#events.length);
    this.#events = all;
  }

  /** Takes what the host has to tell. */
  #fetch(): void {
    while (this.#events.length < READ_BYTES) {
      const bytes = new Uint8Array(READ_BYTES);
      const got = inotifyRead(this.#fd, bytes);
      if (got <= 0) return;
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < got;) {
        const watch = this.#byHost(view.getInt32(at, true));
        // -1 is of no watch: events were lost.
        if (watch) view.setInt32(at, watch.number, true);
        const isGone = (view.getUint32(at + 4, true) & IN.ignored) !== 0;
        if (watch && isGone) this.#watches.delete(watch.number);
        at += EVENT_BYTES + view.getUint32(at + 12, true);
      }
      this.#append(bytes.subarray(0, got));
    }
  }

  /** What travels. */
  state(): InotifyState {
    this.#fetch();
    const watches = [...this.#watches.values()]
      .map(({ number, path, mask }) => ({ number, path, mask }));
    return { watches, next: this.#next, events: this.#events };
  }

  /** Bytes of events that wait. */
  get waitingBytes(): number {
    this.#fetch();
    return this.#events.length;
  }

  override read(io: IoVector): number {
    this.#reads++;
    this.#fetch();
    if (this.#events.length === 0) return -ERRNO.EAGAIN;
    const view = new DataView(this.#events.buffer);
    let length = 0;
    while (length < this.#events.length) {
      const next = EVENT_BYTES + view.getUint32(length + 12, true);
      if (length + next > io.lengthBytes) break;
      length += next;
    }
    if (length === 0) return io.isCut ? -ERRNO.EFAULT : -ERRNO.EINVAL;
    io.fill(this.#events.subarray(0, length));
    this.#events = this.#events.slice(length);
    return length;
  }

  override readFault(): number {
    if (this.waitingBytes === 0) return -ERRNO.EAGAIN;
    // An event that cannot be handed over is lost.
    const view = new DataView(this.#events.buffer);
    this.#events = this.#events.slice(EVENT_BYTES + view.getUint32(12, true));
    return super.readFault();
  }

  override seek(): number {
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, 0o600, ANONYMOUS_INODE);
  }

  override poll(events: number): number {
    const isReady = this.#events.length > 0 ||
      (pollNow(this.#fd, POLL.in) & POLL.in) !== 0;
    return events & (isReady ? POLL.in : 0);
  }

  override wait(_events: number, signal: AbortSignal): Promise<void> {
    return this.#events.length > 0
      ? Promise.resolve()
      : pollUntil(this.#fd, POLL.in, signal);
  }

  override get isWatchable(): boolean {
    return true;
  }

  /** Who reads may have emptied it: what holds then is new. */
  override get edges(): number {
    return this.#reads;
  }

  override close(): void {
    close(this.#fd);
  }
}
