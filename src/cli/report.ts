/**
 * Errors as users see them, and the exit status that each gives.
 *
 * @module
 */

import {
  FilesError,
  GuestError,
  ImageError,
  type ImageErrorCode,
  KvmError,
  MigrationError,
  ProgramError,
  TransportError,
  VmError,
} from "../../mod.ts";
import { printable, tell } from "./text.ts";

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

  /** @param hint what to do about it */
  constructor(message: string, readonly hint = "see `vm --help`") {
    super(message);
  }
}

/** The exit status for each thing that can be wrong with an image. */
const IMAGE_STATUS: Record<ImageErrorCode, number> = {
  IMAGE_NOT_AN_IMAGE: STATUS.corrupt,
  IMAGE_TRUNCATED: STATUS.corrupt,
  IMAGE_CORRUPT: STATUS.corrupt,
  IMAGE_STATE: STATUS.corrupt,
  IMAGE_VERSION: STATUS.incompatible,
  IMAGE_ARCHITECTURE: STATUS.incompatible,
  IMAGE_MISSING: STATUS.incompatible,
  IMAGE_LEFTOVER: STATUS.incompatible,
  IMAGE_COMPONENT: STATUS.failure,
  IMAGE_IO: STATUS.failure,
};

/** The exit status for an error. */
export function statusOf(error: unknown): number {
  if (error instanceof UsageError) return STATUS.usage;
  if (error instanceof KvmError) {
    // A single call that failed says nothing about KVM being there.
    return error.code === "KVM_CALL" ? STATUS.failure : STATUS.noKvm;
  }
  if (error instanceof FilesError) {
    if (error.code === "FILES_IO") return STATUS.failure;
    return error.code === "FILES_STATE" ? STATUS.corrupt : STATUS.incompatible;
  }
  if (error instanceof VmError) {
    if (error.code === "VM_INCOMPATIBLE") return STATUS.incompatible;
    return error.code === "VM_CONFIG" ? STATUS.usage : STATUS.failure;
  }
  if (error instanceof ImageError) return IMAGE_STATUS[error.code];
  if (error instanceof MigrationError) {
    const { code } = error;
    const isUnfit = code === "MIGRATION_REFUSED" ||
      code === "MIGRATION_VERSION";
    return isUnfit ? STATUS.incompatible : STATUS.failure;
  }
  if (error instanceof TransportError) {
    return error.code === "END_URL" ? STATUS.usage : STATUS.failure;
  }
  return STATUS.failure;
}

/** Whether an error is one that was foreseen, and so says what to do. */
function isForeseen(error: unknown): boolean {
  return [
    UsageError,
    KvmError,
    FilesError,
    VmError,
    ImageError,
    MigrationError,
    ProgramError,
    GuestError,
    TransportError,
  ].some((kind) => error instanceof kind);
}

/** How many causes of causes are told of. */
const MAX_CAUSES = 8;

/**
 * Prints an error on stderr: its message, its causes, what to do.
 *
 * @returns the exit status for it
 */
export function report(error: unknown, verbose: boolean): number {
  const message = (e: unknown) => e instanceof Error ? e.message : `${e}`;
  let said = message(error);
  tell(`vm: ${printable(said)}`);
  let cause = error instanceof Error ? error.cause : undefined;
  for (
    let i = 0;
    i < MAX_CAUSES && cause !== undefined && cause !== null;
    i++
  ) {
    const why = message(cause);
    // Most messages end with their cause's: once is enough.
    if (!said.includes(why)) tell(`cause: ${printable(why)}`);
    said = why;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const hint = (error as { hint?: string } | null)?.hint ??
    (isForeseen(error) || verbose
      ? undefined
      : "--verbose shows where it is from");
  if (hint) tell(`hint: ${printable(hint)}`);
  if (verbose && error instanceof Error) {
    for (const line of error.stack?.split("\n") ?? []) tell(printable(line));
  }
  return statusOf(error);
}
