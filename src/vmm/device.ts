/**
 * What a device is to the machine.
 *
 * @module
 */

import type { Component } from "../state/mod.ts";

/** A range of I/O ports that a device answers. */
export interface PortClaim {
  /** The first port. */
  readonly first: number;
  /** How many ports. */
  readonly count: number;
  /** Answers `in`: `sizeBytes` is 1, 2 or 4. Absent: reads as all ones. */
  read?(port: number, sizeBytes: number): number | Promise<number>;
  /** Answers `out`. Absent: the write is ignored. */
  write?(port: number, sizeBytes: number, value: number): void | Promise<void>;
}

/** A range of guest physical addresses that a device answers. */
export interface MmioClaim {
  /** The first address, at or above `MMIO_GPA`. */
  readonly gpa: number;
  /** How many bytes. */
  readonly lengthBytes: number;
  /**
   * Fills `data` (1 to 8 bytes) from `offset` in the range. Absent: reads as all
   * ones.
   */
  read?(offset: number, data: Uint8Array): void | Promise<void>;
  /** Takes `data` (1 to 8 bytes) at `offset`. Absent: the write is ignored. */
  write?(offset: number, data: Uint8Array): void | Promise<void>;
}

/**
 * A component that also answers ports or physical addresses.
 *
 * A handler may answer later: the vCPU then waits. One that throws stops the VM
 * with a `VmError` that names the device.
 */
export interface Device extends Component {
  /** The ports it claims. */
  readonly ports?: readonly PortClaim[];
  /** The address ranges it claims. */
  readonly mmio?: readonly MmioClaim[];
}
