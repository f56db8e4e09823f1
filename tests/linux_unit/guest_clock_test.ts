/**
 * The clock that a program reads without leaving the VM, against a simulated
 * counter: what the page gives, and what system calls answer.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Clock } from "../../src/devices/mod.ts";
import { AddressSpace } from "../../src/linux/address_space.ts";
import type { Registers } from "../../src/linux/registers.ts";
import { UserMemory } from "../../src/linux/user_memory.ts";
import { GuestClock } from "../../src/linux/vdso/guest_clock.ts";
import {
  TSC_CALL,
  VDSO_VA,
  VVAR,
  VVAR_CLOCK,
  VVAR_VA,
} from "../../src/linux/vdso/layout.ts";
import { mapVdso } from "../../src/linux/vdso/map.ts";
import { VvarPage } from "../../src/linux/vdso/vvar_page.ts";
import { Memory, PAGE_BYTES, PROT, writeBootPages } from "../../src/vmm/mod.ts";
import { seeded } from "../support.ts";

const MEMORY_BYTES = 8 * 1024 * 1024;

/** Two clocks of a host whose time the test makes. */
class HostTime {
  ns = 1e12;
  /** What was added to the wall clock. */
  setNs = 0;
  offsetNs = -9e11;
  stopped = false;
  onStop: () => void = () => {};
  seconds = 0;
  nanoseconds = 0;

  monotonicNs(): number {
    return this.ns + this.offsetNs;
  }

  hostNs(monotonicNs: number): number {
    return monotonicNs - this.offsetNs;
  }

  readRealtime(): void {
    const all = this.ns + 5e14 + this.setNs;
    this.seconds = Math.floor(all / 1e9);
    this.nanoseconds = all - this.seconds * 1e9;
  }
}

/** A program that reads the time as guest/vdso.S does. */
class Program implements Disposable {
  readonly memory = new Memory(MEMORY_BYTES);
  readonly space: AddressSpace;
  readonly host = new HostTime();
  /** Ticks of the counter, not rounded, and how long one is. */
  ticks = 1e6;
  nsPerTick: number;
  /** How long leaving the VM takes, and coming back. */
  latencyNs: () => number = () => 15_000;
  exits = 0;
  clock: GuestClock;

  constructor(nsPerTick: number, nominal: number | undefined = nsPerTick) {
    this.nsPerTick = nsPerTick;
    writeBootPages(this.memory);
    this.space = new AddressSpace(this.memory);
    const user = new UserMemory(this.memory, this.space);
    assertEquals(mapVdso(this.space, user), VDSO_VA);
    this.clock = this.watch(nominal);
  }

  /** Another VMM begins with what there is. */
  watch(nominal: number | undefined): GuestClock {
    return new GuestClock(
      new VvarPage(this.memory, this.space),
      this.host as unknown as Clock,
      () => nominal,
    );
  }

  pass(ns: number): void {
    const passed = Math.round(ns);
    this.host.ns += passed;
    this.ticks += passed / this.nsPerTick;
  }

  /** What the counter shows. */
  get tsc(): bigint {
    return BigInt(Math.floor(this.ticks));
  }

  page(offset: number): bigint {
    const gpa = this.space.locate(VVAR_VA);
    return this.memory.view.getBigUint64(gpa + offset, true);
  }

  /** Whether the page gives the time. */
  get isGiven(): boolean {
    return (this.page(VVAR.sequence) & 1n) === 0n;
  }

  /** What earlier calls left in the registers. */
  #left: [number, bigint, bigint] = [0, 0n, 0n];

  /** One system call on the time. */
  raw(
    isRealtime: boolean,
    rdx = this.#left[0],
    r10 = this.#left[1],
    r8 = this.#left[2],
  ): number {
    this.#left = [rdx, r10, r8];
    this.exits++;
    this.pass(this.latencyNs());
    const given = [0n, 0n, BigInt(rdx), r10, r8];
    const args = {
      uint: (i: number) => Number(given[i]),
      big: (i: number) => given[i],
    };
    this.clock.onCall(args as Registers);
    this.pass(500);
    let ns: number;
    if (isRealtime) {
      const { seconds, nanoseconds } = this.clock.readRealtime();
      ns = seconds * 1e9 + nanoseconds;
    } else ns = this.clock.monotonicNs();
    this.pass(this.latencyNs());
    return ns;
  }

  /** A call of the vDSO's. */
  inside(isRealtime: boolean): number {
    this.pass(20);
    const ticks = BigInt.asUintN(
      64,
      this.tsc - this.page(VVAR.baseTsc),
    );
    if (this.isGiven && ticks < this.page(VVAR.windowTicks)) {
      const at = isRealtime ? VVAR.realtime : VVAR.monotonic;
      const passed = (ticks * this.page(VVAR.multiplier)) >> 32n;
      const floor = this.page(at + VVAR_CLOCK.floorNs);
      return Number(
        this.page(at + VVAR_CLOCK.seconds) * 1_000_000_000n +
          this.page(at + VVAR_CLOCK.nanoseconds) +
          (passed > floor ? passed : floor),
      );
    }
    if ((this.page(VVAR.asks) & 0xffff_ffffn) === 0n) {
      return this.raw(isRealtime);
    }
    const before = this.tsc;
    this.raw(isRealtime, TSC_CALL.begin, before);
    return this.raw(isRealtime, TSC_CALL.end, before, this.tsc);
  }

  /** Calls until the page gives the time. */
  settle(): void {
    for (let i = 0; i < 2000 && !this.isGiven; i++) this.inside(false);
    assert(this.isGiven);
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}

Deno.test("guest_clock: no clock goes back, within the VM or out of it, and none is far behind", () => {
  const random = seeded("guest_clock");
  for (const nominalError of [0, 1e-5, -1e-5, 0.1]) {
    const nsPerTick = 0.2 + random();
    using program = new Program(nsPerTick, nsPerTick * (1 + nominalError));
    program.latencyNs = () => {
      const often = 5000 + random() * 20_000;
      // If the first sample took long, it takes longer than this to know better.
      const isLong = random() < 0.001 && program.exits > 20;
      return isLong ? often + random() * 3e6 : often;
    };
    const last = [0, 0];
    let given = 0;
    for (let i = 0; i < 200_000; i++) {
      program.pass(random() < 0.01 ? random() * 2e5 : random() * 500);
      const clock = i & 1;
      const isOut = random() < 0.02;
      const exits = program.exits;
      const ns = isOut ? program.raw(clock === 1) : program.inside(clock === 1);
      assert(ns >= last[clock], `${i}: ${ns} after ${last[clock]}`);
      last[clock] = ns;
      if (program.exits > exits) continue;
      given++;
      program.host.readRealtime();
      const { seconds, nanoseconds } = program.host;
      const real = seconds * 1e9 + nanoseconds;
      const behind = (clock === 1 ? real : program.host.monotonicNs()) - ns;
      assert(behind >= 0 && behind < 1.1e6, `${i}: ${behind} ns behind`);
    }
    assert(given > 10_000, `${given}`);
  }
});

Deno.test("guest_clock: a clock of the host's that is corrected goes back nowhere", () => {
  const random = seeded("guest_clock");
  using program = new Program(0.4);
  let last = 0;
  for (let i = 0; i < 100_000; i++) {
    // The host's clock runs up to 0.05 % faster or slower than the counter.
    if (i % 5000 === 0) program.nsPerTick = 0.4 * (1 + (random() - 0.5) / 1000);
    program.pass(random() * 5000);
    const ns = random() < 0.02 ? program.raw(false) : program.inside(false);
    assert(ns >= last, `${i}: ${ns} after ${last}`);
    last = ns;
  }
});

Deno.test("guest_clock: a wrong rate of KVM's is found out, and a measured one used", () => {
  using program = new Program(0.5, 0.3);
  const from = program.host.ns;
  for (let i = 0; i < 5000 && !program.isGiven; i++) {
    program.pass(1e6);
    program.inside(false);
  }
  assert(program.isGiven);
  assert(program.host.ns - from > 1e8);
  const rate = Number(program.page(VVAR.multiplier)) / 2 ** 32;
  assert(rate <= 0.5 && rate > 0.4999, `${rate}`);
});

Deno.test("guest_clock: a counter that is not to be used is asked for once", () => {
  using program = new Program(0.5);
  program.clock = program.watch(undefined);
  for (let i = 0; i < 1000; i++) {
    program.pass(1e6);
    program.inside(i % 2 === 0);
    assert(!program.isGiven);
  }
  assertEquals(program.exits, 1001);
});

Deno.test("guest_clock: when the clock stops, the page says nothing, and never again the same", () => {
  using program = new Program(0.5);
  const seen = new Set<bigint>();
  for (let i = 0; i < 50; i++) {
    program.settle();
    const sequence = program.page(VVAR.sequence) & 0xffff_ffffn;
    assert(!seen.has(sequence));
    seen.add(sequence);
    program.host.onStop();
    assert(!program.isGiven);
    assertEquals(program.page(VVAR.asks) & 0xffff_ffffn, 1n);
    // No time passes for the program; the counter becomes another one.
    const stopped = program.host.monotonicNs();
    program.pass(3e9);
    program.ticks = i * 1e6;
    program.host.offsetNs -= program.host.monotonicNs() - stopped;
    if (i % 2 === 0) program.clock = program.watch(0.5);
    assert(!program.isGiven);
    const ns = program.inside(false);
    assert(ns >= stopped && ns < stopped + 1e6);
  }
});

Deno.test("guest_clock: a stop between the two calls makes the first worth nothing", () => {
  using program = new Program(0.5);
  program.settle();
  program.pass(1e8);
  const before = program.tsc;
  program.raw(false, TSC_CALL.begin, before);
  program.host.onStop();
  program.raw(false, TSC_CALL.end, before, program.tsc);
  assert(!program.isGiven);
  program.settle();
});

Deno.test("guest_clock: a wait that is over is over by the page's time, too", () => {
  using program = new Program(0.5);
  for (let i = 0; i < 100; i++) {
    program.settle();
    program.pass(1e5);
    const end = program.host.monotonicNs();
    program.clock.waited();
    assert(program.inside(false) >= end);
  }
});

Deno.test("guest_clock: a wall clock that is set is seen at the next system call, and soon by all", () => {
  using program = new Program(0.5);
  for (const byNs of [3.6e12, -3.6e12]) {
    program.settle();
    const old = program.inside(true);
    program.host.setNs += byNs;
    const isNew = (ns: number) => Math.abs(ns - old - byNs) < 1e9;
    assert(isNew(program.raw(true)));
    assert(isNew(program.inside(true)));
    program.settle();
    program.host.setNs -= byNs;
    program.pass(1e8);
    assert(!isNew(program.inside(true)));
  }
});

Deno.test("guest_clock: lies about the counter change nothing that calls answer", () => {
  const random = seeded("guest_clock");
  using program = new Program(0.5);
  const any = () => {
    const numbers = [0n, 1n, (1n << 64n) - 1n, program.tsc];
    const random64 = BigInt(Math.floor(random() * 2 ** 53)) << 11n;
    return [...numbers, random64][Math.floor(random() * 5)];
  };
  for (let i = 0; i < 20_000; i++) {
    program.pass(random() * 1e7);
    const lie = any();
    const kind = random() < 0.5 ? TSC_CALL.begin : TSC_CALL.end;
    const from = program.host.monotonicNs();
    if (random() < 0.5) program.inside(false);
    const before = program.host.monotonicNs();
    program.raw(false, TSC_CALL.begin, lie);
    const ns = program.raw(false, kind, lie, any());
    const after = program.host.monotonicNs();
    // What was seen ahead of the clock is held for a millisecond at most.
    assert(ns >= before && ns <= after + 1e6, `${i}: ${ns - from}`);
  }
});

Deno.test("guest_clock: a program that throws its vDSO away, or uses its place, is left alone", () => {
  using program = new Program(0.5);
  const { space, clock } = program;
  program.settle();
  // Moved, it goes on where it is.
  const to = VVAR_VA - 64 * PAGE_BYTES;
  assertEquals(space.move(VVAR_VA, PAGE_BYTES, to, PAGE_BYTES), to);
  const gpa = space.locate(to);
  program.host.onStop();
  assertEquals(program.memory.u32[gpa / 4] & 1, 1);
  // Something else in its place is not written.
  const access = PROT.read | PROT.write;
  assertEquals(space.map(VVAR_VA, PAGE_BYTES, access, "anonymous"), VVAR_VA);
  assertEquals(space.map(to, PAGE_BYTES, access, "anonymous"), to);
  const checks = [VVAR_VA, to].map((va) => {
    const at = space.locate(va);
    return program.memory.bytes(at, PAGE_BYTES);
  });
  for (let i = 0; i < 20; i++) {
    program.pass(1e7);
    const before = program.tsc;
    program.raw(false, TSC_CALL.begin, before);
    program.raw(true, TSC_CALL.end, before, program.tsc);
    clock.clear();
  }
  for (const bytes of checks) assert(bytes.every((byte) => byte === 0));
});
