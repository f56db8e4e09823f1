/**
 * A look over CBOR before it is decoded, that allocates nothing.
 *
 * @module
 */

/** How deep arrays and maps may be nested. */
const MAX_DEPTH = 32;

/** Most values in one payload: each becomes an object, larger than its byte. */
const MAX_ITEMS = 2 ** 21;

/** Major types of CBOR, RFC 8949 section 3.1. */
const MAJOR = {
  bytes: 2,
  text: 3,
  array: 4,
  map: 5,
  tag: 6,
  simple: 7,
} as const;

/** false, true, null, and floating-point numbers of 16, 32 and 64 bits. */
const SIMPLE: readonly number[] = [20, 21, 22, 25, 26, 27];

/**
 * Checks that `bytes` are exactly one well-formed CBOR value of definite
 * lengths, without tags, and neither too deep nor of too many values.
 *
 * @throws {Error} saying what is wrong, and where
 */
export function checkCbor(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** How many values each open array or map still lacks. */
  const missing = new Float64Array(MAX_DEPTH + 1);
  let depth = 0;
  let items = 0;
  let at = 0;
  missing[0] = 1;
  while (true) {
    while (missing[depth] === 0) {
      if (depth-- > 0) continue;
      if (at !== bytes.length) throw bad("more bytes than one value", at);
      return;
    }
    missing[depth]--;
    if (++items > MAX_ITEMS) throw bad("too many values", at);
    if (at >= bytes.length) throw bad("it ends too early", at);
    const start = at;
    const major = bytes[at] >>> 5;
    const minor = bytes[at] & 31;
    at += 1;
    // 24 to 27: the number follows in 1, 2, 4 or 8 bytes.
    if (minor > 27) throw bad("an unknown or indefinite length", start);
    const follow = minor < 24 ? 0 : 1 << (minor - 24);
    if (at + follow > bytes.length) throw bad("it ends too early", start);
    if (major === MAJOR.tag) throw bad("a tag", start);
    if (major === MAJOR.simple && !SIMPLE.includes(minor)) {
      throw bad("a value that is no value", start);
    }
    const count = countAt(view, at, follow, minor);
    at += follow;
    if (major === MAJOR.bytes || major === MAJOR.text) {
      if (count > bytes.length - at) throw bad("it ends too early", start);
      at += count;
    } else if (major === MAJOR.array || major === MAJOR.map) {
      if (++depth > MAX_DEPTH) throw bad("it is nested too deep", start);
      missing[depth] = major === MAJOR.map ? 2 * count : count;
    }
  }
}

/** The number in a value's head: itself below 24, else the bytes after it. */
function countAt(
  view: DataView,
  at: number,
  follow: number,
  minor: number,
): number {
  switch (follow) {
    case 0:
      return minor;
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at);
    case 4:
      return view.getUint32(at);
    default:
      return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  }
}

function bad(what: string, offset: number): Error {
  return new Error(`bad CBOR at its byte ${offset}: ${what}`);
}
