/**
 * What a VM holds of its program, fresh or thawed.
 *
 * @module
 */

import {
  type Allowed,
  type Clock,
  type FdTable,
  HostPaths,
  type PendingIo,
} from "../devices/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import type { Process } from "./process.ts";

/** What is of a program, fresh or thawed. */
export interface ProgramParts {
  /** Its address space. */
  readonly space: AddressSpace;
  /** What Linux keeps of the process. */
  readonly process: Process;
  /** Its descriptors. */
  readonly fds: FdTable;
  /** Its waiting call. */
  readonly pending: PendingIo;
  /** Its clocks. */
  readonly clock: Clock;
  /** The host's files it may reach. */
  readonly paths: HostPaths;
}

/** Opens what the program may reach: the current folder, where nothing is said. */
export function openPaths(allow: Partial<Allowed> = {}): HostPaths {
  return new HostPaths({
    read: allow.read ?? ["."],
    write: allow.write ?? ["."],
  });
}
