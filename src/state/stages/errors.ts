/**
 * Errors of the stages of a pipeline.
 *
 * @module
 */

/** What kind of failure a {@linkcode StageError} is. */
export type StageErrorCode =
  /** What came is no stream of the kind that the stage takes. */
  | "STAGE_FORMAT"
  /** It was made by a later version. */
  | "STAGE_VERSION"
  /** It was changed by accident: a checksum or the framing is wrong. */
  | "STAGE_DAMAGED"
  /** It ends before its end. */
  | "STAGE_TRUNCATED"
  /** It was changed on purpose: checksums fit, and authentication fails. */
  | "STAGE_TAMPERED"
  /** The key or passphrase is wrong, or is none. */
  | "STAGE_KEY"
  /** A signature is demanded, and what came has none. */
  | "STAGE_UNSIGNED"
  /** It was signed by a key that is not accepted. */
  | "STAGE_SIGNER"
  /** It is more than was allowed. */
  | "STAGE_LIMIT"
  /** One of the streams that a `tee` writes to failed. */
  | "STAGE_SINK";

/** A stage of a pipeline cannot go on. */
export class StageError extends Error {
  /** The name of the class. */
  override name = "StageError";
  /** What kind of failure this is. */
  readonly code: StageErrorCode;
  /** The stage it was found in, by the name of the function that made it. */
  readonly stage: string;
  /** Where in what the stage was given, in bytes from the start. */
  readonly offset?: number;
  /** What the user can do about it, when there is something. */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason, without a final period
   * @param options `stage`; `offset`, `hint` and `cause`, where known
   */
  constructor(
    code: StageErrorCode,
    message: string,
    options: {
      stage: string;
      offset?: number;
      hint?: string;
      cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.stage = options.stage;
    this.offset = options.offset;
    this.hint = options.hint;
  }
}
