/**
 * The page of data that the vDSO's code reads, as the VMM writes it.
 *
 * @module
 */

import { type Memory, PAGE_BYTES } from "../../vmm/mod.ts";
import type { AddressSpace } from "../address_space.ts";
import { VVAR, VVAR_CLOCK, VVAR_LAYOUT, VVAR_VA } from "./layout.ts";

/** A time of one clock. */
export interface ClockReading {
  /** Whole seconds. */
  readonly seconds: number;
  /** The rest, nanoseconds. */
  readonly nanoseconds: number;
}

/** What the page says while it gives the time. */
export interface VvarTime {
  /** A reading of the time-stamp counter. */
  readonly tsc: bigint;
  /** For how many ticks from there it gives the time. */
  readonly windowTicks: bigint;
  /** Nanoseconds a tick, times 2^32. */
  readonly multiplier: bigint;
  /** CLOCK_MONOTONIC at that reading. */
  readonly monotonic: ClockReading;
  /** CLOCK_REALTIME at that reading. */
  readonly realtime: ClockReading;
}

/** A clock that the page gives. */
export type VvarClock = "monotonic" | "realtime";

/**
 * The page of data, wherever the program has it. It may have moved it, thrown
 * it away or made it writable: each time the page is looked up, nothing in it
 * is believed, and what there is none of is not written. Only while the program
 * does not run.
 */
export class VvarPage {
  readonly #memory: Memory;
  readonly #space: AddressSpace;
  /** Where it was last. */
  #va = VVAR_VA;

  /** @param memory guest memory @param space the program's address space */
  constructor(memory: Memory, space: AddressSpace) {
    this.#memory = memory;
    this.#space = space;
  }

  /** The gpa of the page; -1 when there is none of the layout known here. */
  #gpa(): number {
    const { areas, tables } = this.#space;
    if (areas.find(this.#va)?.kind !== "vvar") {
      const moved = areas.all.find(({ kind }) => kind === "vvar");
      if (!moved) return -1;
      this.#va = moved.start;
    }
    if (!tables.isPopulated(this.#va)) return -1;
    const gpa = this.#space.locate(this.#va);
    const layout = this.#memory.u32[(gpa + VVAR.layout) / 4];
    return layout === VVAR_LAYOUT ? gpa : -1;
  }

  /** Whether the page is there. */
  get isThere(): boolean {
    return this.#gpa() >= 0;
  }

  /** Lets the page say nothing; calls are to bring readings if `asks`. */
  clear(asks: boolean): void {
    const gpa = this.#gpa();
    if (gpa < 0) return;
    const { u32 } = this.#memory;
    const sequence = (gpa + VVAR.sequence) / 4;
    const flag = (gpa + VVAR.asks) / 4;
    const isSilent = (u32[sequence] & 1) === 1;
    if (isSilent && u32[flag] === Number(asks)) return;
    if (!isSilent) u32[sequence]++;
    u32[flag] = Number(asks);
    this.#memory.markDirty(gpa, PAGE_BYTES);
  }

  /** Lets the page give the time, after {@linkcode VvarPage.clear}. */
  set(time: VvarTime): void {
    this.clear(true);
    const gpa = this.#gpa();
    if (gpa < 0) return;
    const { view, u32 } = this.#memory;
    const put = (offset: number, value: bigint) =>
      view.setBigUint64(gpa + offset, value, true);
    put(VVAR.baseTsc, time.tsc);
    put(VVAR.windowTicks, time.windowTicks);
    put(VVAR.multiplier, time.multiplier);
    for (const clock of ["monotonic", "realtime"] as const) {
      const { seconds, nanoseconds } = time[clock];
      put(VVAR[clock] + VVAR_CLOCK.seconds, BigInt(seconds));
      put(VVAR[clock] + VVAR_CLOCK.nanoseconds, BigInt(nanoseconds));
      put(VVAR[clock] + VVAR_CLOCK.floorNs, 0n);
    }
    u32[(gpa + VVAR.sequence) / 4]++;
    this.#memory.markDirty(gpa, PAGE_BYTES);
  }

  /**
   * Lets a clock give nothing from before so many nanoseconds (below 2^32)
   * after the reading.
   */
  setFloor(clock: VvarClock, floorNs: number): void {
    const gpa = this.#gpa();
    if (gpa < 0) return;
    const at = gpa + VVAR[clock] + VVAR_CLOCK.floorNs;
    this.#memory.u32[at / 4] = floorNs;
    this.#memory.markDirty(at, 8);
  }
}
