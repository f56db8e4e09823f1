/**
 * Errors as users see them, and the exit status that each gives.
 *
 * @module
 */

import { FilesError, ImageError, KvmError, VmError } from "../../mod.ts";

/** Exit statuses of the command line's own. */
export const STATUS = {
  ok: 0,
  failure: 1,
  usage: 2,
  incompatible: 3,
  corrupt: 4,
  noKvm: 5,
  interrupted: 130,
} as const;

/** The command line was wrong. */
export class UsageError extends Error {
  override name = "UsageError";
  /** What to do about it. */
  readonly hint = "see `vm --help`";
}

/** The exit status for an error. */
export function statusOf(error: unknown): number {
  if (error instanceof UsageError) return STATUS.usage;
  if (error instanceof KvmError) return STATUS.noKvm;
  if (error instanceof FilesError) return STATUS.incompatible;
  if (error instanceof VmError && error.code === "VM_INCOMPATIBLE") {
    return STATUS.incompatible;
  }
  if (error instanceof ImageError) {
    const incompatible = error.code === "IMAGE_VERSION" ||
      error.code === "IMAGE_ARCHITECTURE";
    if (incompatible) return STATUS.incompatible;
    const io = error.code === "IMAGE_IO" || error.code === "IMAGE_COMPONENT";
    return io ? STATUS.failure : STATUS.corrupt;
  }
  return STATUS.failure;
}

/**
 * Prints an error on stderr: its message, its causes, what to do.
 *
 * @returns the exit status for it
 */
export function report(error: unknown, verbose: boolean): number {
  const message = (e: unknown) => e instanceof Error ? e.message : `${e}`;
  console.error(`vm: ${message(error)}`);
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause !== undefined && cause !== null) {
    console.error(`cause: ${message(cause)}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const hint = (error as { hint?: string } | null)?.hint;
  if (hint) console.error(`hint: ${hint}`);
  if (verbose && error instanceof Error) console.error(error.stack);
  return statusOf(error);
}
