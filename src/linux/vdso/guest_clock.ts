/**
 * The clock that a program reads without leaving the VM.
 *
 * The time that the page of data gives is computed by the program itself, of
 * its time-stamp counter. This VMM cannot read that counter; the program's
 * calls bring readings of it (see guest/vdso.S). Three things keep its time and
 * that of system calls from going back against each other:
 *
 * - **It is never ahead.** A sample is the host's clock and a reading of the
 *   counter from after it, and the rate is a lower bound.
 * - **It has a floor**: what a system call has answered, or a wait has ended at.
 * - **It ends soon.** When a rate was wrong all the same (the host's clock is
 *   being corrected), what the program may have seen is held until the clock
 *   has passed it, before the page gives the time again.
 *
 * @module
 */

import type { Clock } from "../../devices/mod.ts";
import type { Registers } from "../registers.ts";
import { TSC_CALL } from "./layout.ts";
import { TscRate } from "./tsc_rate.ts";
import type { ClockReading, VvarClock, VvarPage } from "./vvar_page.ts";

/** How long a sample gives the time, nanoseconds. */
const WINDOW_NS = 50e6;

/**
 * How long the first of the two calls may take, nanoseconds: so far behind the
 * clock is what the page gives. Where all take longer, twice the shortest.
 */
const SLOWEST_CALL_NS = 1e6;

/** After how long a sample is tried again that took too long, nanoseconds. */
const RETRY_NS = 50e6;

/**
 * Most that a time which was ahead is held, nanoseconds. A clock that is being
 * corrected by 0.05 % is ahead by 25 µs at most.
 */
const LONGEST_HOLD_NS = 1e6;

const TWO_32 = 0x1_0000_0000;

/** The clocks at one moment. */
interface Moment {
  /** The host's monotonic clock, nanoseconds. */
  readonly hostNs: number;
  /** The program's, nanoseconds. */
  readonly monotonicNs: number;
  /** The wall clock. */
  readonly realtime: ClockReading;
}

/** What the first of two calls brought, and when. */
interface Begun {
  readonly tsc: bigint;
  readonly moment: Moment;
}

/** What the page gives at present. */
interface Given extends Moment {
  readonly tsc: bigint;
  readonly windowTicks: bigint;
  readonly nsPerTick: number;
  /** What of each clock is written as its floor. */
  readonly floorNs: Record<VvarClock, number>;
}

/** What finds out whether the counter is usable, and its nominal rate. */
export type NominalRate = () => number | undefined;

/** Keeps the page of data. Only while the program does not run. */
export class GuestClock {
  readonly #page: VvarPage;
  readonly #clock: Clock;
  readonly #nominalRate: NominalRate;
  /** `null` until it is asked for: most programs never need it. */
  #rate: TscRate | undefined | null = null;
  #given: Given | undefined;
  /** The first of two calls. */
  #begun: Begun | undefined;
  #heldNs = 0;
  #retryNs = 0;
  #shortestCallNs = Infinity;

  /**
   * @param page the program's
   * @param clock the program's: when it stops, the page says nothing any more
   * @param nominalRate nanoseconds a tick, as KVM says; `undefined` when the
   * counter is not to be used. Asked once, when it is needed.
   */
  constructor(page: VvarPage, clock: Clock, nominalRate: NominalRate) {
    this.#page = page;
    this.#clock = clock;
    this.#nominalRate = nominalRate;
    clock.onStop = () => this.clear();
    this.clear();
  }

  /**
   * Lets every call leave the VM: the clock stops, or has stopped. What was in
   * the middle of reading the page finds another sequence number, and begins
   * anew.
   */
  clear(): void {
    this.#given = this.#begun = undefined;
    this.#page.clear(true);
  }

  /** CLOCK_MONOTONIC for a system call to answer, nanoseconds. */
  monotonicNs(): number {
    const ns = Math.max(this.#clock.monotonicNs(), this.#heldNs);
    const given = this.#given;
    if (given) this.#raise(given, "monotonic", ns - given.monotonicNs);
    return ns;
  }

  /** Reads CLOCK_REALTIME for a system call to answer, as `Clock` does. */
  readRealtime(): Clock {
    const clock = this.#clock;
    clock.readRealtime();
    const given = this.#given;
    if (given) {
      const { seconds, nanoseconds } = given.realtime;
      const passed = (clock.seconds - seconds) * 1e9 + clock.nanoseconds -
        nanoseconds;
      this.#raise(given, "realtime", passed);
    }
    return clock;
  }

  /** A wait is over: no clock of the program's may be from before its end. */
  waited(): void {
    if (!this.#given) return;
    this.monotonicNs();
    this.readRealtime();
  }

  #raise(given: Given, clock: VvarClock, passedNs: number): void {
    // A clock that was set, or a counter that stands still.
    if (passedNs < 0 || passedNs > 2 * WINDOW_NS) return this.clear();
    if (passedNs <= given.floorNs[clock]) return;
    given.floorNs[clock] = passedNs;
    this.#page.setFloor(clock, passedNs);
  }

  /**
   * Looks at a call on the time, before it is answered: it may bring readings
   * of the counter. The program may lie about them.
   */
  onCall(args: Registers): void {
    const kind = args.uint(2);
    if (kind === TSC_CALL.begin) this.#begin(args.big(3));
    else if (kind === TSC_CALL.end && this.#begun) {
      this.#end(this.#begun, args.big(3), args.big(4));
    } // What an earlier call brought may still be in the registers of this one.
    else if (this.#rate) this.#askAgain(this.#rate);
  }

  #begin(tsc: bigint): void {
    this.#begun = undefined;
    if (this.#rate === null) {
      const nominal = this.#page.isThere ? this.#nominalRate() : undefined;
      this.#rate = nominal === undefined ? undefined : new TscRate(nominal);
    }
    if (!this.#rate) return this.#page.clear(false);
    const moment = this.#moment();
    this.#hold(tsc, moment.monotonicNs);
    this.#begun = { tsc, moment };
  }

  #moment(): Moment {
    const clock = this.#clock;
    clock.readRealtime();
    const { seconds, nanoseconds } = clock;
    const monotonicNs = clock.monotonicNs();
    return {
      hostNs: clock.hostNs(monotonicNs),
      monotonicNs,
      realtime: { seconds, nanoseconds },
    };
  }

  /** Ends what the page gives, and holds what was ahead of the clock. */
  #hold(tsc: bigint, monotonicNs: number): void {
    const given = this.#given;
    if (!given) return;
    const ticks = BigInt.asUintN(64, tsc - given.tsc);
    const most = ticks < given.windowTicks ? ticks : given.windowTicks;
    const passed = Math.max(
      Number(most) * given.nsPerTick,
      given.floorNs.monotonic,
    );
    const seenNs = Math.ceil(given.monotonicNs + passed);
    const ahead = seenNs - monotonicNs;
    if (ahead > 0 && ahead <= LONGEST_HOLD_NS) this.#heldNs = seenNs;
    this.#given = undefined;
    this.#page.clear(true);
  }

  #end(begun: Begun, before: bigint, after: bigint): void {
    const rate = this.#rate;
    this.#begun = undefined;
    if (!rate || begun.tsc !== before || after <= before) return;
    const { moment } = begun;
    rate.add({ before, after, hostNs: moment.hostNs });
    const { nsPerTick } = rate;
    // Not yet: the next sample has to be some time later.
    if (nsPerTick === undefined) return this.#wait(moment.hostNs);
    const callNs = Number(after - before) * nsPerTick;
    this.#shortestCallNs = Math.min(this.#shortestCallNs, callNs);
    if (callNs > Math.max(SLOWEST_CALL_NS, 2 * this.#shortestCallNs)) {
      return this.#wait(moment.hostNs + RETRY_NS);
    }
    if (moment.monotonicNs < this.#heldNs) return;
    this.#give(after, moment, nsPerTick);
  }

  /** Asks for no reading before so many nanoseconds of the host's clock. */
  #wait(retryNs: number): void {
    this.#retryNs = retryNs;
    this.#page.clear(false);
  }

  #askAgain(rate: TscRate): void {
    if (this.#given) return;
    const hostNs = this.#clock.hostNs(this.#clock.monotonicNs());
    if (hostNs < this.#retryNs || rate.isTooEarly(hostNs)) return;
    this.#page.clear(true);
  }

  #give(tsc: bigint, moment: Moment, nsPerTick: number): void {
    const windowTicks = BigInt(Math.floor(WINDOW_NS / nsPerTick));
    const { monotonicNs, realtime } = moment;
    const seconds = Math.floor(monotonicNs / 1e9);
    this.#page.set({
      tsc,
      windowTicks,
      multiplier: BigInt(Math.floor(nsPerTick * TWO_32)),
      monotonic: { seconds, nanoseconds: monotonicNs - seconds * 1e9 },
      realtime,
    });
    const floorNs = { monotonic: 0, realtime: 0 };
    this.#given = { ...moment, tsc, windowTicks, nsPerTick, floorNs };
  }
}
