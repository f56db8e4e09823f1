/**
 * How fast the time-stamp counter of a program runs.
 *
 * @module
 */

/** A reading of the host's clock, and two of the counter around it. */
export interface TscSample {
  /** The counter before the clock was read. */
  readonly before: bigint;
  /** The counter after it was. */
  readonly after: bigint;
  /** The clock, nanoseconds. */
  readonly hostNs: number;
}

/** Rates that are thought possible, nanoseconds a tick: 10 GHz to 100 MHz. */
const POSSIBLE = { lowest: 0.1, highest: 10 } as const;

/**
 * By how much a rate may differ from what KVM says: a clock that is being
 * corrected runs 0.05 % faster or slower (adjtimex(2)).
 */
const TOLERANCE = 0.0005;

/** By how much it may differ from what it was a while ago. */
const CHANGE = 0.002;

/** How well a rate must be known to need nothing that KVM says. */
const PRECISION = 0.0001;

/** How well it must be known to say whether KVM is right. */
const AGREEMENT = 0.02;

/** How far apart samples must be to say anything, nanoseconds. */
const SHORTEST_NS = 4e6;

/** After how long an older sample is given up for a younger one, nanoseconds. */
const RENEWAL_NS = 10e9;

/** Bounds of a rate, nanoseconds a tick. */
interface Bounds {
  readonly lowest: number;
  readonly highest: number;
}

/** The rate between two samples. */
function boundsOf(older: TscSample, younger: TscSample): Bounds | undefined {
  const elapsedNs = younger.hostNs - older.hostNs;
  const fewest = Number(younger.before - older.after);
  const most = Number(younger.after - older.before);
  if (!(elapsedNs > 0 && fewest > 0)) return undefined;
  return { lowest: elapsedNs / most, highest: elapsedNs / fewest };
}

function contains(
  { lowest, highest }: Bounds,
  rate: number,
  tolerance: number,
): boolean {
  return rate * (1 + tolerance) >= lowest && rate * (1 - tolerance) <= highest;
}

/**
 * The rate of the counter, from samples. The program brings them, and may lie:
 * then it has a wrong clock, and nobody else has.
 *
 * What is given is rather too low than too high: time that runs too slow for a
 * moment jumps forward at the next sample, but time must never go back.
 */
export class TscRate {
  /** The sample that rates are measured from, and one to follow it. */
  #anchor: TscSample | undefined;
  #next: TscSample | undefined;
  #last: TscSample | undefined;
  #nsPerTick: number | undefined;
  readonly #nominal: number;

  /** @param nominal nanoseconds a tick, as KVM says */
  constructor(nominal: number) {
    this.#nominal = nominal;
  }

  /** Nanoseconds a tick, not more than they are; `undefined` while unknown. */
  get nsPerTick(): number | undefined {
    return this.#nsPerTick;
  }

  /** Whether it is too early for another sample to say anything. */
  isTooEarly(hostNs: number): boolean {
    return this.#last !== undefined && hostNs - this.#last.hostNs < SHORTEST_NS;
  }

  /** Takes another sample, younger than those before. */
  add(sample: TscSample): void {
    const last = this.#last;
    this.#last = sample;
    const anchor = this.#anchor;
    const since = last && boundsOf(last, sample);
    const all = anchor && boundsOf(anchor, sample);
    const goesOn = since && all &&
      (this.#nsPerTick === undefined ||
        contains(since, this.#nsPerTick, CHANGE));
    if (!goesOn) {
      // The first; or the counter is another one than it was.
      this.#anchor = sample;
      this.#next = undefined;
      this.#nsPerTick = undefined;
      return;
    }
    if (sample.hostNs - anchor.hostNs < SHORTEST_NS) return;
    // One sample that took long is no reason to know less than before.
    this.#nsPerTick = this.#rateWithin(all) ?? this.#nsPerTick;
    this.#renew(sample);
  }

  #rateWithin(bounds: Bounds): number | undefined {
    const { lowest, highest } = bounds;
    const uncertainty = (highest - lowest) / lowest;
    let rate: number | undefined;
    if (uncertainty <= PRECISION) rate = lowest;
    else if (
      uncertainty <= AGREEMENT && contains(bounds, this.#nominal, TOLERANCE)
    ) {
      rate = Math.max(lowest, this.#nominal * (1 - TOLERANCE));
    }
    const isPossible = rate !== undefined && rate >= POSSIBLE.lowest &&
      rate <= POSSIBLE.highest;
    return isPossible ? rate : undefined;
  }

  /** Follows a rate that changes: what is measured from is not too old. */
  #renew(sample: TscSample): void {
    if (sample.hostNs - this.#anchor!.hostNs < RENEWAL_NS) return;
    if (this.#next === undefined) this.#next = sample;
    else if (sample.hostNs - this.#next.hostNs >= RENEWAL_NS) {
      this.#anchor = this.#next;
      this.#next = sample;
    }
  }
}
