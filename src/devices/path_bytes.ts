/**
 * Paths as the kernel has them: bytes, which need not be text. A program's path
 * is held as a string with a character a byte.
 *
 * @module
 */

const encoder = new TextEncoder();

/** The bytes of a path, one a character, with the terminating zero. */
export function pathBytes(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(path.length + 1);
  for (let i = 0; i < path.length; i++) bytes[i] = path.charCodeAt(i);
  return bytes;
}

/** The path, a character a byte, of a text. */
export function pathOf(text: string): string {
  return String.fromCharCode(...encoder.encode(text));
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
