/**
 * The first line of a script: which interpreter it is for (execve(2)).
 *
 * @module
 */

/** How much of a script Linux looks at (linux/binfmts.h's BINPRM_BUF_SIZE). */
export const SCRIPT_HEAD_BYTES = 256;

/** How many scripts may be each other's interpreters (fs/exec.c). */
export const MAX_SCRIPTS = 5;

/** What the first line of a script says. */
export interface ScriptLine {
  /** Path of the interpreter. */
  readonly interpreter: string;
  /** Its one argument, with the spaces in it. */
  readonly argument?: string;
}

/** Whether a file begins as a script. */
export function isScript(head: Uint8Array): boolean {
  return head[0] === 0x23 && head[1] === 0x21;
}

/**
 * Reads the first line of a script, as Linux's binfmt_script does.
 *
 * @param head the first bytes of the file, {@linkcode SCRIPT_HEAD_BYTES} at most
 * @returns `undefined` when it names no interpreter, or one whose path may be
 * cut off
 * @throws {TypeError} when it is not UTF-8
 */
export function readScriptLine(head: Uint8Array): ScriptLine | undefined {
  const bytes = head.subarray(2, SCRIPT_HEAD_BYTES - 1);
  const ends = bytes.findIndex((b) => b === 0x0a || b === 0);
  const line = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const isWhole = ends >= 0 || head.length < SCRIPT_HEAD_BYTES;
  const decoded = line.decode(
    ends >= 0 ? bytes.subarray(0, ends) : bytes,
    // A character may be cut off where the line is.
    { stream: !isWhole },
  );
  const text = decoded.replace(/^[ \t]+/, "");
  const match = /^([^ \t]+)(?:[ \t]+(.*))?/s.exec(text);
  if (!match) return undefined;
  const [, interpreter, rest] = match;
  // A path that fills all that is looked at may go on.
  if (!isWhole && interpreter.length === text.length) return undefined;
  const argument = rest?.replace(/[ \t]+$/, "");
  return argument ? { interpreter, argument } : { interpreter };
}
