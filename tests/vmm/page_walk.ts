/**
 * A walk of four-level page tables as the SDM describes it, for checking what
 * the VMM wrote: nothing of the VMM's own walker is used.
 *
 * @module
 */

/** What a walk found. */
export interface Walked {
  /** Guest physical address of the byte. */
  readonly gpa: number;
  /** Whether CPL3 may write it. */
  readonly write: boolean;
  /** Whether CPL3 may fetch instructions from it. */
  readonly execute: boolean;
  /** 4096, or 2 MiB for a large page. */
  readonly pageBytes: number;
}

const PRESENT = 1n;
const WRITE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const NO_EXECUTE = 1n << 63n;
/** Bits 51 to 12: where the next table or the page is. */
const ADDRESS = 0x000f_ffff_ffff_f000n;

/**
 * Walks the tables below `root` for CPL3 (Intel SDM volume 3, 4.5 and 4.6).
 *
 * @param view all of guest memory
 * @param root CR3
 * @param va a canonical address
 * @returns `undefined` when CPL3 may not even read there
 * @throws {RangeError} when an entry points outside of memory
 */
export function walk(
  view: DataView,
  root: number,
  va: number,
): Walked | undefined {
  const address = BigInt(va);
  let table = BigInt(root);
  let write = true;
  let execute = true;
  for (const shift of [39n, 30n, 21n, 12n]) {
    const index = address >> shift & 511n;
    const entry = view.getBigUint64(Number(table + index * 8n), true);
    if (!(entry & PRESENT) || !(entry & USER)) return undefined;
    write &&= (entry & WRITE) !== 0n;
    execute &&= (entry & NO_EXECUTE) === 0n;
    table = entry & ADDRESS;
    const large = shift === 21n && (entry & LARGE) !== 0n;
    if (shift !== 12n && !large) continue;
    const pageBytes = 1 << Number(shift);
    if (table % BigInt(pageBytes) !== 0n) {
      throw new RangeError(`reserved bits are set: 0x${entry.toString(16)}`);
    }
    const gpa = Number(table) + va % pageBytes;
    if (gpa >= view.byteLength) {
      throw new RangeError(`gpa 0x${gpa.toString(16)} is no memory`);
    }
    return { gpa, write, execute, pageBytes };
  }
  throw new Error("unreachable");
}
