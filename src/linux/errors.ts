/**
 * Errors of the Linux layer.
 *
 * @module
 */

/** The codes a {@linkcode ProgramError} may carry. */
export type ProgramErrorCode =
  | "PROGRAM_NOT_FOUND"
  | "PROGRAM_NOT_ELF"
  | "PROGRAM_ARCHITECTURE"
  | "PROGRAM_INTERPRETER"
  | "PROGRAM_CORRUPT"
  | "PROGRAM_UNSUPPORTED";

/** A program cannot be loaded, or cannot go on. */
export class ProgramError extends Error {
  /** The name of the class. */
  override name = "ProgramError";
  /** What kind of failure this is. */
  readonly code: ProgramErrorCode;
  /** What the user can do about it. */
  readonly hint?: string;
  /** What the host said, where it was the host. */
  readonly errno?: number;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason
   * @param options `cause`, a `hint` for the user, and the host's `errno`
   */
  constructor(
    code: ProgramErrorCode,
    message: string,
    options: { cause?: unknown; hint?: string; errno?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.errno = options.errno;
  }
}
