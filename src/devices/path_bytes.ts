/**
 * Paths as the kernel has them: bytes, which need not be text. A program's path
 * is held as a string with a character a byte.
 *
 * @module
 */

import { isOfBytes } from "../state/mod.ts";

const encoder = new TextEncoder();

/**
 * The bytes of a path, one a character, with the terminating zero.
 *
 * @throws {TypeError} for a character that is none: to the kernel the path
 * would be another one than it seems here
 */
export function pathBytes(path: string): Uint8Array<ArrayBuffer> {
  if (!isOfBytes(path)) throw new TypeError("a path is of bytes but zero");
  const bytes = new Uint8Array(path.length + 1);
  for (let i = 0; i < path.length; i++) bytes[i] = path.charCodeAt(i);
  return bytes;
}

/** The path, a character a byte, of a text. */
export function pathOf(text: string): string {
  return String.fromCharCode(...encoder.encode(text));
}

/** A path of a state: text, or the bytes of what is none. */
export type SavedPath = string | Uint8Array;

/** The path, a character a byte, that a state says. */
export function pathOfSaved(path: SavedPath): string {
  return typeof path === "string" ? pathOf(path) : String.fromCharCode(...path);
}

/** What a state says for a path, a character a byte. */
export function savedPath(path: string): SavedPath {
  return pathText(path) ?? pathBytes(path).subarray(0, -1);
}

/** A path, a character a byte, for a message: whatever it is. */
export function pathShown(path: string): string {
  const bytes = Uint8Array.from(path, (one) => one.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}

/** The text of a path; `undefined` when it is not UTF-8. */
export function pathText(path: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(
      pathBytes(path).subarray(0, -1),
    );
  } catch {
    return undefined;
  }
}
