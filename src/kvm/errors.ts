/**
 * Errors of the KVM binding.
 *
 * @module
 */

import { ERRNO, errnoName } from "./errno.ts";
import { errno } from "./libc.ts";

/** The codes a {@linkcode KvmError} may carry. */
export type KvmErrorCode =
  | "KVM_NO_DEVICE"
  | "KVM_NO_PERMISSION"
  | "KVM_NO_CAPABILITY"
  | "KVM_CALL";

/** A call to the kernel failed. */
export class KvmError extends Error {
  /** "KvmError". */
  override readonly name = "KvmError";
  /** What kind of failure this is. */
  readonly code: KvmErrorCode;
  /** The call that failed, by the kernel's name: "KVM_CREATE_VM". */
  readonly ioctl: string;
  /** The error number; 0 when the kernel gave none. */
  readonly errno: number;
  /** What the user can do about it. */
  readonly hint?: string;

  /**
   * Says what failed.
   *
   * @param code what kind of failure this is
   * @param message the action and the reason
   * @param details the call, its error number, and a hint
   */
  constructor(
    code: KvmErrorCode,
    message: string,
    details: { ioctl: string; errno?: number; hint?: string; cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.code = code;
    this.ioctl = details.ioctl;
    this.errno = details.errno ?? 0;
    this.hint = details.hint;
  }

  /** The name of the error number: "EINVAL". */
  get errnoName(): string {
    return errnoName(this.errno);
  }
}

/** What to do about an error number that KVM gives, where that is known. */
const HINTS: Record<number, string> = {
  [ERRNO.ENOMEM]: "the host is out of memory, or the VM asks for too much",
  [ERRNO.EMFILE]: "too many files are open; raise `ulimit -n`",
  [ERRNO.EBUSY]: "another hypervisor may be using the CPU's virtualization",
  [ERRNO.ENOTTY]: "this is not /dev/kvm",
};

/**
 * {@linkcode unwrap} for a call that a signal can interrupt before it has done
 * anything: it is made again until it was not.
 *
 * @param call the kernel's name of it
 * @param attempt makes the call
 * @returns what the call gave
 * @throws {KvmError} when that is negative
 */
export function unwrapUninterrupted(
  call: string,
  attempt: () => number,
): number {
  for (;;) {
    const result = attempt();
    if (result >= 0 || errno() !== ERRNO.EINTR) return unwrap(call, result);
  }
}

/**
 * The result of a call that gives -1 and an error number on failure.
 *
 * @param call the kernel's name of it
 * @param result what it gave; must be passed on at once
 * @returns `result`
 * @throws {KvmError} when it is negative
 */
export function unwrap(call: string, result: number): number {
  if (result >= 0) return result;
  const number = errno();
  throw new KvmError(
    "KVM_CALL",
    `${call} failed: ${errnoName(number)}`,
    { ioctl: call, errno: number, hint: HINTS[number] },
  );
}
