/**
 * Errors of the device layer.
 *
 * @module
 */

/** The codes a {@linkcode FilesError} may carry. */
export type FilesErrorCode =
  | "FILES_MISSING"
  | "FILES_CHANGED"
  | "FILES_DENIED"
  /** The host does not write what the image carries. */
  | "FILES_IO"
  | "FILES_STATE";

/** A path cannot be allowed, or an open file cannot be restored. */
export class FilesError extends Error {
  /** The name of the class. */
  override name = "FilesError";
  /** What kind of failure this is. */
  readonly code: FilesErrorCode;
  /** What the user can do about it. */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason
   * @param options `cause`, and a `hint` for the user
   */
  constructor(
    code: FilesErrorCode,
    message: string,
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The message of whatever was thrown. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
