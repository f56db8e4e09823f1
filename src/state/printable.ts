/**
 * Text on its way to a terminal.
 *
 * @module
 */

/**
 * What a terminal would act on or show as something else: control characters,
 * line ends, and the marks that turn the direction of writing.
 */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Text that is fit for a terminal: what could send commands to it, turn the
 * direction of writing, or look like a line of its own is escaped, as in
 * `\\u001b`. Names of files, what a program passes and what an image says come
 * from others.
 *
 * @param text of one line
 * @returns the same, with escapes in place of each such character
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
