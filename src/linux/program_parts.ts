/**
 * What a VM holds of its program, fresh or thawed.
 *
 * @module
 */

import {
  type Allowed,
  type Clock,
  type FdTable,
  FilesError,
  HostPaths,
  type PendingStateV2,
} from "../devices/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import type { Devices } from "./devices.ts";
import type { Process } from "./process.ts";

/** What is of a program, fresh or thawed. */
export interface ProgramParts {
  /** Its address space. */
  readonly space: AddressSpace;
  /** What Linux keeps of the process. */
  readonly process: Process;
  /** Its descriptors. */
  readonly fds: FdTable;
  /** Its calls that wait. */
  readonly pending: PendingStateV2;
  /** Its clocks. */
  readonly clock: Clock;
  /** The host's files it may reach. */
  readonly paths: HostPaths;
  /** The devices that are plugins. */
  readonly devices: Devices;
}

/**
 * Opens what the program may reach: the current folder, where nothing is said.
 *
 * @throws {FilesError} naming the first path that cannot be allowed
 */
export function openPaths(allow: Partial<Allowed> = {}): HostPaths {
  const allowed = { read: allow.read ?? ["."], write: allow.write ?? ["."] };
  for (const path of [...allowed.read, ...allowed.write]) {
    const found = realPath(path);
    if (typeof found === "string") continue;
    throw new FilesError(
      found.isMissing ? "FILES_MISSING" : "FILES_DENIED",
      `Cannot allow ${path}: ${found.why}`,
      { cause: found.cause },
    );
  }
  return new HostPaths(allowed);
}

/** Why there is no path. */
export interface NoPath {
  /** Whether nothing has this name. */
  readonly isMissing: boolean;
  /** The reason, for a message. */
  readonly why: string;
  /** What the host said. */
  readonly cause: unknown;
}

/** The path of a file or folder without links, or why there is none. */
export function realPath(path: string): string | NoPath {
  try {
    return Deno.realPathSync(path);
  } catch (cause) {
    const isMissing = cause instanceof Deno.errors.NotFound;
    const why = isMissing
      ? "there is no such file or folder"
      : (cause as Error).message;
    return { isMissing, why, cause };
  }
}
