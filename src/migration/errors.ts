/**
 * Errors of moving a VM.
 *
 * @module
 */

/** How far a move has come. */
export type Phase =
  /** The two sides get to know each other. */
  | "hello"
  /** The destination looks whether it can take the VM. */
  | "preflight"
  /** The image goes over. */
  | "transfer"
  /** The destination has all, and makes the VM of it. */
  | "prepare"
  /** The VM changes hands. */
  | "commit";

/** What kind of failure a {@linkcode MigrationError} is. */
export type MigrationErrorCode =
  /** What the peer says is not this protocol, or not its turn. */
  | "MIGRATION_PROTOCOL"
  /** The two sides have no version in common. */
  | "MIGRATION_VERSION"
  /** The destination does not take this VM: see the reasons. */
  | "MIGRATION_REFUSED"
  /** The other side failed, and said so. */
  | "MIGRATION_FAILED"
  /** The connection broke, or stood still for too long. */
  | "MIGRATION_DROPPED"
  /** Nobody knows whether the destination runs the VM: it was kept here. */
  | "MIGRATION_UNCERTAIN";

/** A VM does not get from here to there. */
export class MigrationError extends Error {
  /** The name of the class. */
  override name = "MigrationError";
  /** What kind of failure this is. */
  readonly code: MigrationErrorCode;
  /** How far it had come. */
  readonly phase: Phase;
  /** Why the destination refuses, all of it. */
  readonly reasons: readonly string[];
  /** What the user can do about it, when there is something. */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason, without a final period
   * @param options `phase`, `reasons`, `hint` and `cause`
   */
  constructor(
    code: MigrationErrorCode,
    message: string,
    options: {
      phase: Phase;
      reasons?: readonly string[];
      hint?: string;
      cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.phase = options.phase;
    this.reasons = options.reasons ?? [];
    this.hint = options.hint;
  }
}
