/**
 * The vDSO as a program finds it: a shared object of one page, as small as the
 * C libraries' and Go's look-ups of its symbols allow.
 *
 * Structures: elf(5), and the GNU hash table's as binutils writes it.
 *
 * @module
 */

import { PAGE_BYTES } from "../../vmm/mod.ts";
import { VDSO_CODE, VDSO_FUNCTIONS } from "./code.ts";
import { CODE_OFFSET } from "./layout.ts";

const SONAME = "linux-vdso.so.1";

/** The version that programs look the symbols up in. */
const VERSION = "LINUX_2.6";

/** Index of that version; 1 is the object itself (VER_NDX_GLOBAL). */
const VERSION_INDEX = 2;

/** Entries of the dynamic section. */
const DT = {
  null: 0,
  hash: 4,
  strtab: 5,
  symtab: 6,
  strsz: 10,
  syment: 11,
  soname: 14,
  gnuHash: 0x6fff_fef5,
  versym: 0x6fff_fff0,
  verdef: 0x6fff_fffc,
  verdefnum: 0x6fff_fffd,
} as const;

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SYMBOL_BYTES = 24;

/** The System V hash of a name (the ABI's chapter 5). */
function sysvHash(name: string): number {
  let hash = 0;
  for (const character of name) {
    hash = (hash << 4) + character.charCodeAt(0);
    hash = (hash ^ (hash >>> 24 & 0xf0)) & 0x0fff_ffff;
  }
  return hash;
}

/** The hash of a name that GNU's table uses: 33 times, and the next character. */
function gnuHash(name: string): number {
  let hash = 5381;
  for (const character of name) {
    hash = Math.imul(hash, 33) + character.charCodeAt(0) >>> 0;
  }
  return hash;
}

/** Strings, each followed by a zero, the first one empty. */
class StringTable {
  #text = "\0";

  add(text: string): number {
    const at = this.#text.length;
    this.#text += `${text}\0`;
    return at;
  }

  get bytes(): Uint8Array {
    return new TextEncoder().encode(this.#text);
  }
}

/** A table of 16, 32 or 64-bit numbers. */
function numbers(bits: 16 | 32 | 64, values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * bits / 8));
  values.forEach((value, i) => {
    if (bits === 16) view.setUint16(i * 2, value, true);
    else if (bits === 32) view.setUint32(i * 4, value, true);
    else view.setBigUint64(i * 8, BigInt(value), true);
  });
  return new Uint8Array(view.buffer);
}

/** A symbol's entry: a global function in the one section there is. */
function symbol(name: number, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(SYMBOL_BYTES));
  view.setUint32(0, name, true);
  view.setUint8(4, 0x12); // STB_GLOBAL, STT_FUNC
  view.setUint16(6, 1, true); // not SHN_UNDEF; there is no table of sections
  view.setBigUint64(8, BigInt(value), true);
  return new Uint8Array(view.buffer);
}

/** A definition of a version and its name. */
function version(
  { flags, index, hash, name, next }: Record<string, number>,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(28));
  [1, flags, index, 1].forEach((half, i) => view.setUint16(i * 2, half, true));
  view.setUint32(8, hash, true);
  view.setUint32(12, 20, true); // the name is right behind
  view.setUint32(16, next, true);
  view.setUint32(20, name, true);
  return new Uint8Array(view.buffer);
}

function header(): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  // "\x7fELF", 64 bits, little-endian, version 1
  view.setBigUint64(0, 0x0001_0102_464c_457fn, true);
  view.setUint16(16, 3, true); // ET_DYN
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(32, BigInt(HEADER_BYTES), true); // program headers
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, 2, true);
  return new Uint8Array(view.buffer);
}

function programHeader(
  type: number,
  flags: number,
  offset: number,
  sizeBytes: number,
  align: number,
): Uint8Array {
  const head = numbers(32, [type, flags]);
  const rest = numbers(64, [offset, offset, offset, sizeBytes, sizeBytes]);
  return join([head, rest, numbers(64, [align])]);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/**
 * Makes the vDSO's image.
 *
 * @returns one page; its code reads the page before it
 */
export function vdsoImage(): Uint8Array<ArrayBuffer> {
  const names = Object.keys(VDSO_FUNCTIONS);
  const strings = new StringTable();
  const soname = strings.add(SONAME);
  const versionName = strings.add(VERSION);
  const symbols = join([
    new Uint8Array(SYMBOL_BYTES), // the first is none
    ...names.map((name) =>
      symbol(strings.add(name), CODE_OFFSET + VDSO_FUNCTIONS[name])
    ),
  ]);
  const last = names.length;
  const image = new Uint8Array(PAGE_BYTES);
  let end = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
  const put = (bytes: Uint8Array): number => {
    const at = Math.ceil(end / 8) * 8;
    image.set(bytes, at);
    end = at + bytes.length;
    return at;
  };
  const strtab = put(strings.bytes);
  const symtab = put(symbols);
  // Both tables have one bucket, with all symbols in a row.
  const chain = names.map((_, i) => i + 1 < last ? i + 2 : 0);
  const hash = put(numbers(32, [1, last + 1, 1, 0, ...chain]));
  const hashes = names.map((name, i) =>
    (gnuHash(name) & ~1 | (i + 1 === last ? 1 : 0)) >>> 0
  );
  const gnu = put(
    // One bucket, from symbol 1 on, and a filter that lets everything pass.
    numbers(32, [1, 1, 1, 0, 0xffff_ffff, 0xffff_ffff, 1, ...hashes]),
  );
  const versym = put(numbers(16, [0, ...names.map(() => VERSION_INDEX)]));
  const verdef = put(join([
    version({
      flags: 1, // VER_FLG_BASE
      index: 1,
      hash: sysvHash(SONAME),
      name: soname,
      next: 28,
    }),
    version({
      flags: 0,
      index: VERSION_INDEX,
      hash: sysvHash(VERSION),
      name: versionName,
      next: 0,
    }),
  ]));
  const entries = [
    [DT.soname, soname],
    [DT.hash, hash],
    [DT.gnuHash, gnu],
    [DT.strtab, strtab],
    [DT.symtab, symtab],
    [DT.strsz, strings.bytes.length],
    [DT.syment, SYMBOL_BYTES],
    [DT.versym, versym],
    [DT.verdef, verdef],
    [DT.verdefnum, 2],
    [DT.null, 0],
  ];
  const dynamicBytes = entries.length * 16;
  const dynamic = put(numbers(64, entries.flat()));
  if (end > CODE_OFFSET) throw new RangeError("the vDSO's tables are too long");
  const code = Uint8Array.fromHex(VDSO_CODE);
  image.set(code, CODE_OFFSET);
  const total = CODE_OFFSET + code.length;
  image.set(header());
  image.set(
    join([
      programHeader(1, 5, 0, total, PAGE_BYTES), // PT_LOAD, readable, executable
      programHeader(2, 4, dynamic, dynamicBytes, 8), // PT_DYNAMIC, readable
    ]),
    HEADER_BYTES,
  );
  return image;
}
