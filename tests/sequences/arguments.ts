/**
 * Arguments of system calls, as sequence.c reads them: right ones, and every
 * kind of wrong one.
 *
 * @module
 */

import fc from "fast-check";

/** One argument, or a whole line. */
export type Words = fc.Arbitrary<string>;

/** Numbers, as words. */
export function numbers(...values: (number | bigint)[]): Words {
  return fc.constantFrom(...values.map(String));
}

/** Mostly the first, at times one of the others. */
function mostly(usual: Words, ...others: Words[]): Words {
  return fc.oneof(
    { arbitrary: usual, weight: 12 },
    ...others.map((arbitrary) => ({ arbitrary, weight: 1 })),
  );
}

/** Some of the bits. */
export function flags(...bits: number[]): Words {
  return fc.subarray(bits).map((some) =>
    String(some.reduce((sum, bit) => sum | bit, 0))
  );
}

/** Descriptors that are open, once some are; others now and then. */
export const fd: Words = mostly(
  fc.integer({ min: 3, max: 8 }).map(String),
  // The upper half of a register is no part of a descriptor.
  numbers(-1, 999, 1024, 0x7fff_ffff, -0x8000_0000, 0x1_0000_0003n),
);

/** A folder's descriptor for the calls that look below one. */
export const folderFd: Words = fc.oneof(numbers(-100), numbers(-100), fd);

/** Addresses that no program may use, or that are of no program. */
const BAD_POINTERS = numbers(
  0,
  1,
  -1,
  0x7fff_ffff_f000,
  0x7fff_ffff_effcn,
  0x8000_0000_0000,
  0xffff_8000_0000_3000n,
);

/** Names, below the sequence's folder and not. */
export const path: Words = mostly(
  fc.constantFrom(
    ...["f0", "f1", "d0", "d0/f0", "l0", "d1", "f2", "d0/f1"].map((name) =>
      `"${name}`
    ),
  ),
  fc.constantFrom(
    ...[
      ...["./f0", "d0/", "f0/", "d0/.", "d0/..", "l0/", "l0/f0", "d0//f0"],
      ...["", ".", "..", "./", "none/f0", "f0/f0", "d0/d1", "long", "longest"],
    ].map((name) => `"${name}`),
  ),
  BAD_POINTERS,
);

const PAGE = 4096;
const LARGE_PAGE = 2 * 1024 ** 2;

/** The starts of pages where something is, or may come to be. */
const PAGES = [
  ...Array.from({ length: 20 }, (_, i) => (i - 2) * PAGE),
  ...[1, 2, 3].flatMap((n) =>
    [-PAGE, 0, PAGE].map((more) => n * LARGE_PAGE + more)
  ),
];

/** The start of a page in the arena. */
export const pagePlace: Words = fc.constantFrom(
  ...PAGES.map((at) => `@${at}`),
);

/** Page-aligned addresses. */
export const page: Words = mostly(
  pagePlace,
  fc.constantFrom("@1", "@4095", "@2097151"),
  BAD_POINTERS,
);

/** Anywhere in the arena. */
export const place: Words = fc.tuple(
  fc.constantFrom(...PAGES),
  fc.constantFrom(0, 0, 1, 2048, 4090),
).map(([at, more]) => `@${at + more}`);

/** Addresses of buffers: anywhere, often close to the end of a page. */
export const buffer: Words = mostly(
  place,
  BAD_POINTERS,
);

/** Lengths in bytes of what is moved. */
export const length: Words = mostly(
  numbers(0, 1, 2, 10, 511, 4095, 4096, 4097, 8192, 65_536, 65_537, 200_000),
  numbers(
    ...[0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 2 ** 47],
    ...[2n ** 63n - 1n, 2n ** 63n, -1, -4096],
  ),
);

/** Lengths of mappings that may be there. */
export const mappedSome: Words = numbers(
  ...[PAGE, 2 * PAGE, 3 * PAGE, 7 * PAGE, 16 * PAGE, LARGE_PAGE],
  ...[LARGE_PAGE + PAGE, 2 * LARGE_PAGE, 1, 4097],
);

/** Lengths of mappings. */
export const mapped: Words = mostly(
  mappedSome,
  numbers(0, 2 ** 47, 2n ** 63n, -1, -4096, 0xffff_ffff_ffff_f001n),
);

/** Places in a file. */
export const offset: Words = mostly(
  numbers(0, 1, 5, 100, 4095, 4096, 8000, 65_536, 1_000_000),
  numbers(-1, -4096, 2n ** 63n - 1n, 2n ** 63n, 2n ** 63n - 4096n),
);

/** Permissions of a new file; its owner may do anything in any case. */
export const mode: Words = numbers(0o644, 0o600, 0o755, 0o777, 0, 0o4755, -1);

/** A structure of 64-bit words. */
export function words(...parts: Words[]): Words {
  return fc.tuple(...parts).map((all) => `{${all.join()}}`);
}

/** The structure, or a pointer that leads to none. */
export function orBad(structure: Words): Words {
  return mostly(structure, BAD_POINTERS, buffer);
}

/** Buffers of an iovec array, and how many there are said to be. */
export const vectors: Words = mostly(
  fc.array(fc.tuple(buffer, length), { minLength: 1, maxLength: 4 })
    .map((all) => `{${all.flat().join()}} ${all.length}`),
  fc.tuple(
    words(buffer, length),
    numbers(0, 8, 1024, 1025, -1, 0x7fff_ffff),
  ).map((both) => both.join(" ")),
  fc.tuple(BAD_POINTERS, numbers(0, 1, 2)).map((both) => both.join(" ")),
);

/** A buffer whose content says nothing, or a pointer that leads to none. */
export const dropped: Words = mostly(fc.constant("S"), BAD_POINTERS);

/** Whether a wrong number should be among the right ones. */
export function orWrong(right: Words, ...wrong: (number | bigint)[]): Words {
  return mostly(right, numbers(...wrong));
}
