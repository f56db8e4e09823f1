/**
 * Errors of the image layer.
 *
 * @module
 */

import { printable } from "./printable.ts";

/** What kind of failure an {@linkcode ImageError} is. */
export type ImageErrorCode =
  /** The bytes are no image at all. */
  | "IMAGE_NOT_AN_IMAGE"
  /** The image ends before its end. */
  | "IMAGE_TRUNCATED"
  /** The image was changed since it was written. */
  | "IMAGE_CORRUPT"
  /** The image, or the state of one component, needs another version. */
  | "IMAGE_VERSION"
  /** The image belongs to another architecture. */
  | "IMAGE_ARCHITECTURE"
  /** The state of a component does not make sense. */
  | "IMAGE_STATE"
  /** The image lacks the state of a component. */
  | "IMAGE_MISSING"
  /** The image holds state that nobody took. */
  | "IMAGE_LEFTOVER"
  /** A component cannot be saved. */
  | "IMAGE_COMPONENT"
  /** The host would not read or write. */
  | "IMAGE_IO";

/** An image cannot be written, or cannot be read. */
export class ImageError extends Error {
  /** The name of the class. */
  override name = "ImageError";
  /** What kind of failure this is. */
  readonly code: ImageErrorCode;
  /** The section it was found in: its kind, id and part. */
  readonly section?: string;
  /** Where in the image it was found, in bytes from the start. */
  readonly offset?: number;
  /** What the user can do about it, when there is something. */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason, without a final period
   * @param options `section`, `offset`, `hint` and `cause`, where known
   */
  constructor(
    code: ImageErrorCode,
    message: string,
    options: {
      section?: string;
      offset?: number;
      hint?: string;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.section = options.section;
    this.offset = options.offset;
    this.hint = options.hint;
  }
}

/**
 * The message of whatever was thrown, fit for a terminal.
 *
 * @param cause what was thrown
 */
export function reasonOf(cause: unknown): string {
  return excerpt(cause instanceof Error ? cause.message : String(cause));
}

/** At most 200 characters of `text`, fit for a terminal. */
export function excerpt(text: string): string {
  return printable(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
