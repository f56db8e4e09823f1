/**
 * Errors of the machine layer.
 *
 * @module
 */

/** The codes a {@linkcode VmError} may carry. */
export type VmErrorCode =
  | "VM_STATE"
  | "VM_MEMORY"
  | "VM_INCOMPATIBLE"
  | "VM_DEVICE"
  | "VM_CONFIG"
  | "VM_EXIT";

/** The VMM cannot do what was asked of it. */
export class VmError extends Error {
  /** The name of the class. */
  override name = "VmError";
  /** What kind of failure this is. */
  readonly code: VmErrorCode;
  /** What the user can do about it, when there is something. */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason
   * @param options `cause`, and a `hint` for the user
   */
  constructor(
    code: VmErrorCode,
    message: string,
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The guest did something that the VM cannot go on from. */
export class GuestError extends Error {
  /** The name of the class. */
  override name = "GuestError";
  /** Always `"GUEST"`. */
  readonly code = "GUEST";
}
