/**
 * The vDSO's image and its code, which runs natively here: with the page of data
 * before it written by the test.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { assembleVdso } from "../../guest/vdso.ts";
import { libc } from "../../src/kvm/mod.ts";
import { VDSO_CODE, VDSO_FUNCTIONS } from "../../src/linux/vdso/code.ts";
import { vdsoImage } from "../../src/linux/vdso/image.ts";
import { CODE_OFFSET, VVAR, VVAR_CLOCK } from "../../src/linux/vdso/layout.ts";
import { PAGE_BYTES } from "../../src/vmm/mod.ts";

/** mmap(2), asm-generic/mman-common.h. */
const PROT = { readWrite: 3, readExec: 5 } as const;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** Clocks (linux/time.h). */
const CLOCKS = [
  ["realtime", [0, 5]],
  ["monotonic", [1, 4, 6, 7]],
] as const;

/** The image mapped in this process, with a page of data before it. */
class Mapped implements Disposable {
  readonly #address: number;
  readonly data: DataView;

  constructor() {
    this.#address = Number(libc.mmap(
      0,
      2 * PAGE_BYTES,
      PROT.readWrite,
      MAP_PRIVATE_ANONYMOUS,
      -1,
      0,
    ));
    assert(this.#address > 0);
    // SAFETY: both pages are this object's own.
    const buffer = Deno.UnsafePointerView.getArrayBuffer(
      Deno.UnsafePointer.create(BigInt(this.#address))!,
      2 * PAGE_BYTES,
    );
    new Uint8Array(buffer).set(vdsoImage(), PAGE_BYTES);
    this.data = new DataView(buffer, 0, PAGE_BYTES);
    const code = this.#address + PAGE_BYTES;
    assertEquals(libc.mprotect(code, PAGE_BYTES, PROT.readExec), 0);
  }

  /** Calls a function with one number and a buffer, or a buffer alone. */
  call(name: string, ...args: (number | BufferSource | null)[]): bigint {
    const at = this.#address + PAGE_BYTES + CODE_OFFSET + VDSO_FUNCTIONS[name];
    // SAFETY: the page holds this function, which takes these arguments.
    const call = new Deno.UnsafeFnPointer(
      Deno.UnsafePointer.create(BigInt(at))! as Deno.PointerObject<never>,
      {
        parameters: args.map((arg) =>
          typeof arg === "number" ? "i32" : "buffer"
        ),
        result: "i64",
      },
    ) as { call(...args: unknown[]): bigint };
    return call.call(...args);
  }

  /** A call that gives a `struct timespec` or `timeval`. */
  pair(name: string, ...args: number[]): [bigint, bigint] {
    const pair = new BigInt64Array([-1n, -1n]);
    const more = name === "__vdso_gettimeofday" ? [null] : [];
    assertEquals(this.call(name, ...args, pair, ...more) & 0xffff_ffffn, 0n);
    return [pair[0], pair[1]];
  }

  /** The page gives a time for ever; it does not go on if a tick takes none. */
  give(
    clock: "monotonic" | "realtime",
    seconds: bigint,
    nanoseconds: bigint,
    floorNs: bigint,
  ): void {
    const put = (offset: number, value: bigint) =>
      this.data.setBigUint64(offset, value, true);
    put(VVAR.windowTicks, 1n << 63n);
    put(VVAR.multiplier, 0n);
    put(VVAR[clock] + VVAR_CLOCK.seconds, seconds);
    put(VVAR[clock] + VVAR_CLOCK.nanoseconds, nanoseconds);
    put(VVAR[clock] + VVAR_CLOCK.floorNs, floorNs);
  }

  [Symbol.dispose](): void {
    // SAFETY: nothing uses the pages after this.
    libc.munmap(this.#address, 2 * PAGE_BYTES);
  }
}

/** What the host's own clock says, nanoseconds. */
function hostNs(clock: number): bigint {
  const pair = new BigInt64Array(2);
  libc.clock_gettime(clock, pair);
  return pair[0] * 1_000_000_000n + pair[1];
}

Deno.test("vdso: assembling its source again gives the same code", async () => {
  assertEquals(await assembleVdso(), {
    code: VDSO_CODE,
    functions: VDSO_FUNCTIONS,
  });
});

Deno.test("vdso: the loader of the C library takes its image and finds its functions by their version", async () => {
  const path = await Deno.makeTempFile({ suffix: ".so" });
  try {
    await Deno.writeFile(path, vdsoImage());
    const loader = Deno.dlopen("libc.so.6", {
      dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
      dlvsym: { parameters: ["pointer", "buffer", "buffer"], result: "usize" },
      dlclose: { parameters: ["pointer"], result: "i32" },
    });
    const text = (words: string) => new TextEncoder().encode(`${words}\0`);
    const handle = loader.symbols.dlopen(text(path), 2);
    assert(handle);
    const find = (name: string, version: string) =>
      loader.symbols.dlvsym(handle, text(name), text(version));
    for (const [name, offset] of Object.entries(VDSO_FUNCTIONS)) {
      const at = find(name, "LINUX_2.6");
      assert(at > 0, name);
      assertEquals(Number(at) % PAGE_BYTES, CODE_OFFSET + offset);
      assertEquals(find(name, "LINUX_2.5"), 0n);
    }
    assertEquals(find("__vdso_nothing", "LINUX_2.6"), 0n);
    assertEquals(loader.symbols.dlclose(handle), 0);
    loader.close();
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("vdso: while the page gives no time, calls are the system's", () => {
  using mapped = new Mapped();
  // Nothing at all; an odd sequence; a window that is over; calls that leave
  // twice.
  const states: [offset: number, value: number][] = [
    [VVAR.layout, 1],
    [VVAR.sequence, 1],
    [VVAR.asks, 1],
    [VVAR.sequence, 2],
    [VVAR.asks, 0],
  ];
  for (const [offset, value] of states) {
    mapped.data.setUint32(offset, value, true);
    for (const clock of [0, 1, 2, 3, 4, 5, 6, 7, 11]) {
      const before = hostNs(clock);
      const [seconds, ns] = mapped.pair("__vdso_clock_gettime", clock);
      const between = seconds * 1_000_000_000n + ns;
      assert(before <= between && between <= hostNs(clock), `${clock}`);
    }
    const before = hostNs(0) / 1000n;
    const [seconds, us] = mapped.pair("__vdso_gettimeofday");
    const between = seconds * 1_000_000n + us;
    assert(before <= between && between <= hostNs(0) / 1000n);
    const now = mapped.call("__vdso_time", null);
    assert(
      now <= hostNs(0) / 1_000_000_000n && now >= before / 1_000_000n - 1n,
    );
  }
  assertEquals(mapped.call("__vdso_clock_gettime", 100, null), -22n);
  assertEquals(mapped.call("__vdso_clock_gettime", -1, null), -22n);
  const cpu = new Uint32Array([9999]);
  assertEquals(mapped.call("__vdso_getcpu", cpu, null), 0n);
  assert(cpu[0] < 9999);
});

Deno.test("vdso: the page's time is what calls answer, with the floor of its clock", () => {
  using mapped = new Mapped();
  for (const [clock, numbers] of CLOCKS) {
    const checks: [seconds: bigint, ns: bigint, floorNs: bigint][] = [
      [5n, 0n, 0n],
      [5n, 999_999_999n, 0n],
      [5n, 999_999_999n, 1n],
      [1_800_000_000n, 950_000_000n, 99_999_999n],
      [0x1_2345_6789n, 1n, 0xffff_ffffn / 100n],
    ];
    for (const [seconds, ns, floorNs] of checks) {
      mapped.give(clock, seconds, ns, floorNs);
      const all = seconds * 1_000_000_000n + ns + floorNs;
      const whole = all / 1_000_000_000n;
      const rest = all % 1_000_000_000n;
      for (const number of numbers) {
        const got = mapped.pair("__vdso_clock_gettime", number);
        assertEquals(got, [whole, rest]);
      }
      if (clock !== "realtime") continue;
      const day = mapped.pair("__vdso_gettimeofday");
      assertEquals(day, [whole, rest / 1000n]);
      const into = new BigInt64Array(1);
      assertEquals(mapped.call("__vdso_time", into), whole);
      assertEquals(into[0], whole);
    }
  }
});

Deno.test("vdso: time goes on with the counter until the window is over", () => {
  using mapped = new Mapped();
  mapped.give("monotonic", 0n, 0n, 0n);
  // From a tick of long ago, at 2^-26 ns a tick: it never gets to a second.
  mapped.data.setBigUint64(VVAR.multiplier, 1n << 6n, true);
  mapped.data.setBigUint64(VVAR.baseTsc, 0n, true);
  let last = 1n;
  for (let i = 0; i < 1000; i++) {
    const [seconds, ns] = mapped.pair("__vdso_clock_gettime", 1);
    assertEquals(seconds, 0n);
    assert(ns >= last);
    last = ns;
  }
  const readings = (): boolean => {
    const before = hostNs(1);
    const [seconds, ns] = mapped.pair("__vdso_clock_gettime", 1);
    return seconds * 1_000_000_000n + ns >= before;
  };
  assert(!readings());
  mapped.data.setBigUint64(VVAR.windowTicks, 1n, true);
  assert(readings());
  // A counter that is behind the sample's is no better than one far ahead.
  mapped.data.setBigUint64(VVAR.windowTicks, 1n << 62n, true);
  mapped.data.setBigUint64(VVAR.baseTsc, 1n << 62n, true);
  assert(readings());
});
