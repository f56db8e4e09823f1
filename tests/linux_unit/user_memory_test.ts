import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { IoVector } from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { limitToStep } from "../../src/linux/syscalls/steps.ts";
import { PATH_MAX, STEP_BYTES } from "../../src/linux/user_memory.ts";
import {
  BLOCK_BYTES,
  PAGE_BYTES,
  PROT,
  USER_END_VA,
} from "../../src/vmm/mod.ts";
import { holds } from "../vmm/property.ts";
import { Space } from "./probe_guest.ts";

const MEMORY_BYTES = 32 * 1024 * 1024;
const BASE = 0x4000_0000;

/** Addresses that no program can use, as system calls hand them on. */
const ODD = [
  0,
  1,
  0xffff,
  USER_END_VA,
  USER_END_VA + PAGE_BYTES,
  2 ** 47,
  2 ** 47 - 1,
  2 ** 48,
  2 ** 52,
  Number.MAX_SAFE_INTEGER,
];

/** Two blocks, in them runs of pages that allow different things. */
interface Layout {
  readonly guest: Space;
  /** Protection of each page, from BASE; `undefined` where nothing is. */
  readonly pages: (number | undefined)[];
}

const layout = fc.array(
  fc.record({
    first: fc.oneof(fc.nat(1023), fc.constantFrom(0, 511, 512, 1023)),
    count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant(512)),
    prot: fc.constantFrom(undefined, 0, 1, 2, 3, 4),
    lazy: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);
type Chosen = typeof layout extends fc.Arbitrary<infer T> ? T : never;

function build(chosen: Chosen): Layout & Disposable {
  const guest = new Space(MEMORY_BYTES);
  const pages: (number | undefined)[] = Array(1024).fill(undefined);
  for (const { first, count, prot, lazy } of chosen) {
    const last = Math.min(1024, first + count);
    const va = BASE + first * PAGE_BYTES;
    const bytes = (last - first) * PAGE_BYTES;
    if (prot === undefined) guest.space.unmap(va, bytes);
    else guest.space.map(va, bytes, prot, "anonymous", lazy);
    pages.fill(prot, first, last);
  }
  return { guest, pages, [Symbol.dispose]: () => guest[Symbol.dispose]() };
}

/** How many bytes from `va` on the program may use, at most `lengthBytes`. */
function usable(
  pages: readonly (number | undefined)[],
  va: number,
  lengthBytes: number,
  write: boolean,
): number {
  for (let done = 0; done < lengthBytes;) {
    const prot = pages[Math.floor((va + done - BASE) / PAGE_BYTES)];
    // What may be written or executed may be read: the CPU knows no less.
    if (!prot || (write && !(prot & PROT.write))) return done;
    done += PAGE_BYTES - (va + done) % PAGE_BYTES;
    if (done >= lengthBytes) return lengthBytes;
  }
  return lengthBytes;
}

const span = fc.record({
  page: fc.oneof(fc.nat(1023), fc.constantFrom(0, 510, 511, 512)),
  offset: fc.constantFrom(0, 1, 2047, PAGE_BYTES - 1),
  lengthBytes: fc.oneof(
    fc.nat(3 * PAGE_BYTES),
    fc.constantFrom(1, 8, PAGE_BYTES, BLOCK_BYTES, BLOCK_BYTES + 1),
  ),
  write: fc.boolean(),
});

Deno.test("user_memory: what may be read, written or given to I/O is what the areas allow", () => {
  const all = fc.tuple(layout, fc.array(span, { minLength: 1, maxLength: 8 }));
  holds("user_memory", 150, all, ([chosen, spans]) => {
    using built = build(chosen);
    const { guest: { user, memory }, pages } = built;
    const content = new Uint8Array(1024 * PAGE_BYTES);
    for (const { page, offset, lengthBytes, write } of spans) {
      const va = BASE + page * PAGE_BYTES + offset;
      const at = `va 0x${va.toString(16)}+${lengthBytes} ${write}`;
      const may = usable(pages, va, lengthBytes, write);
      const all = may === lengthBytes;
      const from = va - BASE;
      if (write) {
        const bytes = new Uint8Array(lengthBytes).fill(1 + page % 200);
        assertEquals(user.write(va, bytes), all, at);
        // What came before the page that may not be written is written.
        content.set(bytes.subarray(0, may), from);
      } else {
        const bytes = new Uint8Array(lengthBytes);
        assertEquals(user.read(va, bytes), all, at);
        if (all) {
          const expected = content.subarray(from, from + lengthBytes);
          assert(expected.every((byte, i) => byte === bytes[i]), at);
        }
      }
      const io = user.buffer(va, lengthBytes, write);
      if (typeof io === "number") {
        assertEquals([io, may], [-ERRNO.EFAULT, 0], at);
        continue;
      }
      assertEquals(io.lengthBytes, may, at);
      let seen = 0;
      io.forEach((piece) => {
        const expected = content.subarray(
          from + seen,
          from + seen + piece.length,
        );
        assert(expected.every((byte, i) => byte === piece[i]), at);
        seen += piece.length;
        assert(piece.buffer === memory.u8.buffer);
      });
    }
  });
});

Deno.test("user_memory: an iovec array moves exactly what its buffers allow, in order", () => {
  const vectors = fc.array(span, { maxLength: 6 });
  const all = fc.tuple(layout, vectors, fc.nat(5000));
  holds("user_memory: vector", 150, all, ([chosen, spans, skipBytes]) => {
    using built = build(chosen);
    const { guest, pages } = built;
    const table = 0x2000_0000 + PAGE_BYTES - 8;
    guest.space.map(0x2000_0000, 2 * PAGE_BYTES, 3, "anonymous");
    const words = new BigUint64Array(spans.length * 2);
    const into = spans[0]?.write ?? false;
    let expected = 0;
    let left = skipBytes;
    let cut = false;
    for (const [i, { page, offset, lengthBytes }] of spans.entries()) {
      const va = BASE + page * PAGE_BYTES + offset;
      words[2 * i] = BigInt(va);
      words[2 * i + 1] = BigInt(lengthBytes);
      const skipped = Math.min(left, lengthBytes);
      left -= skipped;
      if (cut || lengthBytes === skipped) continue;
      const wanted = lengthBytes - skipped;
      const may = usable(pages, va + skipped, wanted, into);
      expected += may;
      cut = may < wanted;
    }
    assert(guest.user.write(table, new Uint8Array(words.buffer)));
    const io = guest.user.vector(table, spans.length, into, skipBytes);
    if (typeof io === "number") {
      assertEquals([io, expected], [-ERRNO.EFAULT, 0]);
    } else assertEquals(io.lengthBytes, expected);
  });
});

Deno.test("user_memory: addresses beyond user memory, wrapping and NaN are refused everywhere", () => {
  using guest = new Space(MEMORY_BYTES);
  const { user, memory } = guest;
  // The kernel's block and the stub are there, but not a program's.
  const before = memory.u8.slice(0, BLOCK_BYTES);
  for (const va of [...ODD, NaN, Infinity]) {
    const at = `va ${va}`;
    const bytes = new Uint8Array(16).fill(0xee);
    assertEquals(user.read(va, bytes), false, at);
    assertEquals(user.write(va, bytes), false, at);
    assertEquals(user.readStruct(va, 16), undefined, at);
    assertEquals(user.writeU32(va, 1), -ERRNO.EFAULT, at);
    assertEquals(user.readString(va), -ERRNO.EFAULT, at);
    assertEquals(user.vector(va, 1, false), -ERRNO.EFAULT, at);
    for (
      const lengthBytes of [1, PAGE_BYTES, 2 ** 31, Number.MAX_SAFE_INTEGER]
    ) {
      const io = user.buffer(va, lengthBytes, true);
      if (typeof io === "number") assertEquals(io, -ERRNO.EFAULT, at);
      else assertEquals(io.lengthBytes, 0, at);
    }
  }
  assertEquals(memory.u8.subarray(0, BLOCK_BYTES), before);
});

Deno.test("user_memory: a buffer that ends at the last address is whole, one byte more is not", () => {
  using guest = new Space(MEMORY_BYTES);
  const va = USER_END_VA - PAGE_BYTES;
  guest.space.map(va, PAGE_BYTES, 3, "anonymous");
  assert(guest.user.write(va, new Uint8Array(PAGE_BYTES).fill(9)));
  assert(!guest.user.write(va, new Uint8Array(PAGE_BYTES + 1)));
  assert(!guest.user.read(va + 1, new Uint8Array(PAGE_BYTES)));
  const io = guest.user.buffer(va, PAGE_BYTES, false);
  assert(io instanceof IoVector);
  assertEquals(io.lengthBytes, PAGE_BYTES);
  assertEquals(guest.user.buffer(va, PAGE_BYTES + 1, false), -ERRNO.EFAULT);
});

Deno.test("user_memory: I/O looks no further than a step of a call, and goes on from there", () => {
  using guest = new Space(128 * 1024 * 1024);
  const lengthBytes = 2.5 * STEP_BYTES;
  guest.space.map(BASE, lengthBytes, 3, "anonymous", true);
  const table = 0x2000_0000;
  guest.space.map(table, PAGE_BYTES, 3, "anonymous");
  const iovec = new BigUint64Array([BigInt(BASE), BigInt(lengthBytes)]);
  assert(guest.user.write(table, new Uint8Array(iovec.buffer)));
  const { freeBytes } = guest.space.blocks;
  for (const isVector of [false, true]) {
    const steps: number[] = [];
    for (let done = 0; done < lengthBytes;) {
      const io = isVector
        ? guest.user.vector(table, 1, true, done)
        : guest.user.buffer(BASE, lengthBytes, true, done);
      assert(typeof io === "object");
      assertEquals(io.wantedBytes, lengthBytes - done);
      assertEquals(io.isCut, false);
      assert(io.lengthBytes <= STEP_BYTES + BLOCK_BYTES);
      if (steps.length === 0 && !isVector) {
        const taken = freeBytes - guest.space.blocks.freeBytes;
        assertEquals(taken, STEP_BYTES + BLOCK_BYTES);
      }
      limitToStep(io);
      steps.push(io.lengthBytes);
      done += io.lengthBytes;
    }
    assertEquals(steps, [STEP_BYTES, STEP_BYTES, STEP_BYTES / 2]);
  }
});

Deno.test("user_memory: a string ends at its zero, at the limit, or where nothing can be read", () => {
  using guest = new Space(MEMORY_BYTES);
  const { user, space } = guest;
  // Across the border of two blocks, which are not neighbours in memory.
  const middle = BASE + BLOCK_BYTES;
  space.map(middle, PAGE_BYTES, 3, "anonymous");
  space.map(middle - 2 * PAGE_BYTES, 2 * PAGE_BYTES, 3, "anonymous");
  const end = middle + PAGE_BYTES;
  user.load(middle - 2 * PAGE_BYTES, new Uint8Array(3 * PAGE_BYTES).fill(65));
  const text = fc.record({
    start: fc.integer({ min: 0, max: 3 * PAGE_BYTES - 1 }),
    length: fc.nat(2 * PAGE_BYTES),
    limit: fc.oneof(fc.nat(100), fc.constantFrom(4095, 4096, 9000)),
  });
  holds("user_memory: string", 300, text, ({ start, length, limit }) => {
    const va = middle - 2 * PAGE_BYTES + start;
    const zero = va + length;
    const ends = zero < end;
    if (ends) user.load(zero, new Uint8Array(1));
    const got = user.readString(va, limit);
    if (ends && length < limit) {
      assertEquals(got, new Uint8Array(length).fill(65));
    } else if (limit <= end - va) {
      assertEquals(got, -ERRNO.ENAMETOOLONG);
    } else {
      assertEquals(got, -ERRNO.EFAULT);
    }
    if (ends) user.load(zero, new Uint8Array([65]));
  });
  // PATH_MAX counts the zero.
  const va = middle - PAGE_BYTES;
  user.load(va + PATH_MAX - 1, new Uint8Array(1));
  assertEquals((user.readString(va) as Uint8Array).length, PATH_MAX - 1);
  user.load(va + PATH_MAX - 1, new Uint8Array([65, 0]));
  assertEquals(user.readString(va), -ERRNO.ENAMETOOLONG);
});

Deno.test("user_memory: an iovec array is copied before it is checked", () => {
  using guest = new Space(MEMORY_BYTES);
  const { user, space, memory } = guest;
  space.map(BASE, PAGE_BYTES, 3, "anonymous");
  // The array names itself as the buffer to be filled.
  user.load(
    BASE,
    new Uint8Array(new BigUint64Array([BigInt(BASE), 16n]).buffer),
  );
  const io = user.vector(BASE, 1, true);
  assert(io instanceof IoVector);
  io.fill(new Uint8Array(16).fill(0xff));
  // What I/O goes to is still what was checked.
  assertEquals([io.count, io.lengthBytes], [1, 16]);
  const view = new DataView(io.iovecs.buffer);
  const gpa = Number(view.getBigUint64(0, true)) - memory.hostAddress;
  assertEquals(gpa, space.locate(BASE));
  assertEquals(view.getBigUint64(8, true), 16n);
  // Now it is rubbish, and is refused as such.
  assertEquals(user.vector(BASE, 1, true), -ERRNO.EINVAL);
});

Deno.test("user_memory: wrong counts and lengths of an iovec array are refused", () => {
  using guest = new Space(MEMORY_BYTES);
  const { user, space } = guest;
  space.map(BASE, 8 * PAGE_BYTES, 3, "anonymous");
  const set = (...words: bigint[]) =>
    user.load(BASE, new Uint8Array(new BigUint64Array(words).buffer));
  for (const count of [-1, 1025, 2 ** 31 - 1, NaN]) {
    assertEquals(user.vector(BASE, count, false), -ERRNO.EINVAL, `${count}`);
  }
  const base = BigInt(BASE);
  set(base, 1n << 63n);
  assertEquals(user.vector(BASE, 1, false), -ERRNO.EINVAL);
  set(base, 8n, base, 0xffff_ffff_ffff_ffffn);
  assertEquals(user.vector(BASE, 2, false), -ERRNO.EINVAL);
  set(1n << 63n, 8n);
  assertEquals(user.vector(BASE, 1, false), -ERRNO.EFAULT);
  set(0xffff_ffff_ffff_fff8n, 16n);
  assertEquals(user.vector(BASE, 1, false), -ERRNO.EFAULT);
  // The array itself runs into what is not there.
  assertEquals(user.vector(BASE + 8 * PAGE_BYTES - 8, 1, false), -ERRNO.EFAULT);
  // None at all is fine, wherever the array would be.
  assert(user.vector(BASE, 0, false) instanceof IoVector);
});

Deno.test("user_memory: what the VMM writes to a program is marked dirty", () => {
  using guest = new Space(MEMORY_BYTES);
  guest.space.map(BASE, 4 * PAGE_BYTES, 3, "anonymous");
  const gpa = guest.space.locate(BASE);
  guest.memory.trackDirty();
  const isDirty = (page: number) => {
    const index = gpa / PAGE_BYTES + page;
    return (guest.memory.dirtyBitmap![index >>> 3] & 1 << (index & 7)) !== 0;
  };
  guest.user.write(BASE + PAGE_BYTES - 2, new Uint8Array(4));
  guest.user.buffer(BASE + 3 * PAGE_BYTES, 1, true);
  assertEquals([0, 1, 2, 3].map(isDirty), [true, true, false, true]);
});
