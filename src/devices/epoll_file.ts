/**
 * A set of files that are waited for together (epoll(7)).
 *
 * Each file tells the set of its changes, and the set keeps a list of those that
 * may be ready: to wait for many costs no more than to wait for the few that
 * change. Only files of the host, and timers, are looked at each time: what
 * happens to them happens without a word.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { ANONYMOUS_INODE } from "./event_file.ts";
import { O, POLL, READABLE } from "./host_constants.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** Bits of an interest beside poll's (linux/eventpoll.h). */
export const EPOLL = {
  exclusive: 0x1000_0000,
  wakeUp: 0x2000_0000,
  oneShot: 0x4000_0000,
  edge: 0x8000_0000,
} as const;

/** Bits that are no events: all that is left of a one-shot that was given. */
const PRIVATE = 0xf000_0000;

/** Bits that an exclusive interest may have (EPOLLEXCLUSIVE_OK_BITS). */
const EXCLUSIVE_OK = POLL.in | POLL.out | POLL.err | POLL.hup | EPOLL.wakeUp |
  EPOLL.edge | EPOLL.exclusive;

/** How deep sets may be in sets (EP_MAX_NESTS). */
export const MAX_NESTS = 4;

/** Most interests in one file, and in one file that is a set itself. */
export const MAX_INTERESTS = 64;
export const MAX_SET_INTERESTS = 8;

/** What a set is asked about one descriptor. */
export interface Interest {
  /** The descriptor that it was added by. */
  readonly fd: number;
  /** What that led to. */
  readonly file: OpenFile;
  /** Events and flags, an unsigned number of 32 bits. */
  events: number;
  /** What the program is told with the events. */
  data: bigint;
  /** What was last said to hold, of a file that is looked at. */
  seen: number;
  /** The file's {@linkcode OpenFile.edges} then. */
  seenEdges: number;
  /** Makes the file forget it. */
  readonly stop: () => void;
}

/** What travels of an interest; `file` is said elsewhere. */
export interface InterestState {
  readonly fd: number;
  readonly events: number;
  readonly data: bigint;
  /** Whether it is in the list of those that may be ready. */
  readonly isReady: boolean;
  /** See {@linkcode Interest.seen}. */
  readonly seen: number;
}

/**
 * Numbers the changes, so that one goes through each set once, however many
 * ways lead there.
 */
let change = 0;
let depth = 0;

/**
 * Numbers the turns of looking, in which each set is looked at once, by however
 * many ways it is in others; and how many calls deep one is.
 */
let turn = 0;
let turns = 0;

/** Begins a turn, unless one is under way; its end is `turns--`. */
function beginTurn(): void {
  if (turns++ === 0) turn++;
}

/** An open file of epoll_create. */
export class EpollFile extends OpenFile {
  readonly type = "epoll";
  readonly #interests = new Map<OpenFile, Map<number, Interest>>();
  /** Those that may be ready, the first to be given first. */
  #ready = new Set<Interest>();
  /** Those whose files are looked at. */
  readonly #looked = new Set<Interest>();
  readonly #waiters = new Waiters();
  #lastChange = -1;
  #turn = -1;

  /** A set without interests. */
  constructor() {
    super(O.readWrite);
  }

  // --- interests ---

  /** Every interest: those that may be ready first, in their order. */
  interests(): { file: OpenFile; state: InterestState }[] {
    const all = [...this.#interests.values()].flatMap((m) => [...m.values()]);
    const others = all.filter((one) => !this.#ready.has(one));
    return [...this.#ready, ...others].map((one) => ({
      file: one.file,
      state: {
        fd: one.fd,
        events: one.events,
        data: one.data,
        isReady: this.#ready.has(one),
        seen: one.seen,
      },
    }));
  }

  /** Takes up an interest that was saved; whether it may be ready is known. */
  restore(file: OpenFile, state: InterestState): void {
    const one = this.#insert(file, state.fd, state.events, state.data);
    // What a host's file holds is news here.
    one.seen = file.hostFd === undefined ? state.seen : 0;
    one.seenEdges = file.edges ?? 0;
    if (state.isReady) this.#ready.add(one);
  }

  #insert(
    file: OpenFile,
    fd: number,
    events: number,
    data: bigint,
  ): Interest {
    const stops = [
      file.watch((holds) => this.#onChange(one, holds)),
      file.onRelease(() => this.#remove(one)),
    ];
    const one: Interest = {
      fd,
      file,
      events,
      data,
      seen: 0,
      seenEdges: 0,
      stop: () => stops.forEach((stop) => stop()),
    };
    let own = this.#interests.get(file);
    if (!own) this.#interests.set(file, own = new Map());
    own.set(fd, one);
    file.interestCount++;
    if (file instanceof EpollFile) {
      file.#above.set(this, (file.#above.get(this) ?? 0) + 1);
    }
    const isLooked = file.edges !== undefined || file instanceof EpollFile;
    if (isLooked) this.#looked.add(one);
    return one;
  }

  #remove(one: Interest): void {
    one.stop();
    one.file.interestCount--;
    if (one.file instanceof EpollFile) {
      const times = one.file.#above.get(this)! - 1;
      if (times > 0) one.file.#above.set(this, times);
      else one.file.#above.delete(this);
    }
    const own = this.#interests.get(one.file)!;
    own.delete(one.fd);
    if (own.size === 0) this.#interests.delete(one.file);
    this.#ready.delete(one);
    this.#looked.delete(one);
  }

  /** EPOLL_CTL_ADD. */
  add(fd: number, file: OpenFile, events: number, data: bigint): number {
    if (events & EPOLL.exclusive) {
      if (file instanceof EpollFile) return -ERRNO.EINVAL;
      if (events & ~EXCLUSIVE_OK) return -ERRNO.EINVAL;
    }
    if (file instanceof EpollFile) {
      const nests = file.#nests(this) + 1 + this.#nestedIn();
      if (nests > MAX_NESTS) return -ERRNO.ELOOP;
    }
    if (this.#interests.get(file)?.has(fd)) return -ERRNO.EEXIST;
    const most = file instanceof EpollFile ? MAX_SET_INTERESTS : MAX_INTERESTS;
    if (file.interestCount >= most) return -ERRNO.ENOSPC;
    const own = (events | POLL.err | POLL.hup) >>> 0;
    this.#look(this.#insert(file, fd, own, data));
    return 0;
  }

  /** EPOLL_CTL_MOD. */
  modify(fd: number, file: OpenFile, events: number, data: bigint): number {
    // Who is woken alone is so for good (epoll_ctl(2)).
    if (events & EPOLL.exclusive) return -ERRNO.EINVAL;
    const one = this.#interests.get(file)?.get(fd);
    if (!one) return -ERRNO.ENOENT;
    if (one.events & EPOLL.exclusive) return -ERRNO.EINVAL;
    one.events = (events | POLL.err | POLL.hup) >>> 0;
    one.data = data;
    one.seen = 0;
    this.#look(one);
    return 0;
  }

  /** EPOLL_CTL_DEL. */
  delete(fd: number, file: OpenFile): number {
    const one = this.#interests.get(file)?.get(fd);
    if (!one) return -ERRNO.ENOENT;
    this.#remove(one);
    return 0;
  }

  /** How many sets are below, one in another; too many where `above` is. */
  #nests(above: EpollFile, seen = new Map<EpollFile, number>()): number {
    if (this === above) return MAX_NESTS + 1;
    const known = seen.get(this);
    if (known !== undefined) return known;
    let most = 0;
    for (const file of this.#interests.keys()) {
      if (!(file instanceof EpollFile)) continue;
      most = Math.max(most, file.#nests(above, seen) + 1);
    }
    seen.set(this, most);
    return most;
  }

  /** The sets that this one is in. */
  readonly #above = new Map<EpollFile, number>();

  /** How many sets are above, one in another. */
  #nestedIn(): number {
    let most = 0;
    for (const above of this.#above.keys()) {
      most = Math.max(most, above.#nestedIn() + 1);
    }
    return most;
  }

  // --- what is ready ---

  /** What of an interest's events holds now. */
  #holds(one: Interest): number {
    return one.file.poll(one.events & 0xffff) & one.events & 0xffff;
  }

  /** An interest is new, or another: looks whether it is ready. */
  #look(one: Interest): void {
    const holds = this.#holds(one);
    one.seen = holds;
    one.seenEdges = one.file.edges ?? 0;
    if (holds) {
      this.#ready.add(one);
      this.#wake(READABLE);
    } else if (this.#looked.has(one)) {
      // Whoever waits must wait for this one, too.
      this.#wake(0);
    }
  }

  #onChange(one: Interest, holds: number): void {
    if ((one.events & ~PRIVATE) === 0) return;
    if (holds === 0) return this.#wake(0);
    if ((holds & one.events) === 0) return;
    this.#ready.add(one);
    this.#wake(READABLE);
  }

  #wake(events: number): void {
    if (depth === 0) change++;
    if (this.#lastChange === change) return;
    this.#lastChange = change;
    depth++;
    try {
      this.#waiters.wake(events);
    } finally {
      depth--;
    }
  }

  /** Looks at the files that say nothing themselves. */
  #refresh(): void {
    if (this.#turn === turn) return;
    this.#turn = turn;
    for (const one of this.#looked) {
      if (one.file instanceof EpollFile) one.file.#refresh();
      if (this.#ready.has(one) || (one.events & ~PRIVATE) === 0) continue;
      // A set has told of its own changes; a level is looked at all the same.
      if (one.file instanceof EpollFile && one.events & EPOLL.edge) continue;
      const holds = this.#holds(one);
      const edges = one.file.edges ?? 0;
      const isNew = (one.events & EPOLL.edge) === 0 ||
        edges !== one.seenEdges || (holds & ~one.seen) !== 0;
      one.seen = holds;
      one.seenEdges = edges;
      if (!holds || !isNew) continue;
      this.#ready.add(one);
      this.#wake(READABLE);
    }
  }

  /**
   * Takes what is ready, as epoll_wait gives it.
   *
   * @param give takes one: its events and data; false when it cannot
   * @returns how many were given, or -EFAULT when the first could not be
   */
  take(
    most: number,
    give: (events: number, data: bigint) => boolean,
  ): number {
    beginTurn();
    try {
      return this.#take(most, give);
    } finally {
      turns--;
    }
  }

  #take(
    most: number,
    give: (events: number, data: bigint) => boolean,
  ): number {
    this.#refresh();
    let count = 0;
    for (const one of [...this.#ready]) {
      if (count === most) break;
      this.#ready.delete(one);
      const holds = this.#holds(one);
      if (!holds) continue;
      if (!give(holds, one.data)) {
        this.#ready = new Set([one, ...this.#ready]);
        return count > 0 ? count : -ERRNO.EFAULT;
      }
      count++;
      one.seen = holds;
      one.seenEdges = one.file.edges ?? 0;
      if (one.events & EPOLL.oneShot) one.events = (one.events & PRIVATE) >>> 0;
      // One that is ready still comes after all others.
      else if ((one.events & EPOLL.edge) === 0) this.#ready.add(one);
    }
    return count;
  }

  override poll(events: number): number {
    beginTurn();
    try {
      return this.#poll(events);
    } finally {
      turns--;
    }
  }

  #poll(events: number): number {
    this.#refresh();
    for (const one of [...this.#ready]) {
      if (this.#holds(one)) return events & READABLE;
      this.#ready.delete(one);
    }
    return 0;
  }

  /** Interests in files that say nothing, those of sets in this one included. */
  *#silent(seen = new Set<EpollFile>()): Generator<Interest> {
    if (seen.has(this)) return;
    seen.add(this);
    for (const one of this.#looked) {
      if ((one.events & ~PRIVATE) === 0) continue;
      if (one.file instanceof EpollFile) yield* one.file.#silent(seen);
      else yield one;
    }
  }

  override async wait(_events: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const end = () => stop.abort();
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    let leftMs = Infinity;
    const others: Promise<void>[] = [];
    for (const one of new Set(this.#silent())) {
      const { file } = one;
      const left = file.leftMs();
      if (file.hostFd === undefined) {
        leftMs = Math.min(leftMs, left);
        continue;
      }
      // What is known to hold, and is no news, would end the wait at once.
      const isEdge = (one.events & EPOLL.edge) !== 0;
      const known = isEdge && one.seenEdges === file.edges ? one.seen : 0;
      const events = one.events & 0xffff & ~known;
      const isNews = (known & (POLL.err | POLL.hup)) === 0 &&
        (events & ~(POLL.err | POLL.hup)) !== 0;
      if (isNews) others.push(file.wait(events, stop.signal).finally(end));
    }
    const timer = leftMs < Infinity ? setTimeout(end, leftMs) : undefined;
    await this.#waiters.changed(stop.signal);
    clearTimeout(timer);
    end();
    signal.removeEventListener("abort", end);
    await Promise.allSettled(others);
  }

  // --- as a file ---

  override seek(): number {
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, 0o600, ANONYMOUS_INODE);
  }

  override get isWatchable(): boolean {
    return true;
  }

  override watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }

  override close(): void {
    for (const own of [...this.#interests.values()]) {
      for (const one of [...own.values()]) this.#remove(one);
    }
  }
}
