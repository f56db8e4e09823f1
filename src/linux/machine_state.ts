/**
 * How the machine's configuration travels.
 *
 * @module
 */

import * as v from "valibot";
import {
  type Component,
  count,
  type Dump,
  type StateSchema,
} from "../state/mod.ts";
import { type SyscallBehaviour, VmError } from "../vmm/mod.ts";

/** How the machine's configuration travels. */
export const machineState = {
  kind: "machine",
  version: 1,
  schema: v.object({
    memoryBytes: count,
    /** What `syscall` did at CPL3 where the VM was made. */
    syscall: v.picklist(["raises-to-cpl0", "stays-at-cpl3"]),
  }),
} satisfies StateSchema<unknown>;

/** The component that dumps the machine's configuration. */
export class MachineSaver implements Component {
  readonly id = "machine";
  readonly kind: string = machineState.kind;
  readonly version: number = machineState.version;

  /** @param memoryBytes how much memory @param syscall what the probe found */
  constructor(
    readonly memoryBytes: number,
    readonly syscall: SyscallBehaviour,
  ) {}

  /** Answers with both. */
  dump(): Dump {
    const { memoryBytes, syscall } = this;
    return { answer: "payload", value: { memoryBytes, syscall } };
  }
}

/** The machine's configuration, version 1. */
export type MachineStateV1 = v.InferOutput<typeof machineState.schema>;

/**
 * Refuses an image that does not fit itself, or that this machine has no room for.
 *
 * @param memoryBytes how much memory the parts of memory are of
 * @param maxMemoryBytes how much its user allows; absent: all of this machine's
 * @throws {VmError} then
 */
export function checkMachine(
  config: MachineStateV1,
  memoryBytes: number,
  maxMemoryBytes: number = Infinity,
): void {
  if (config.memoryBytes !== memoryBytes) {
    throw new VmError(
      "VM_MEMORY",
      `Cannot restore "memory": it is of ${memoryBytes} bytes, the machine has ${config.memoryBytes}`,
    );
  }
  // Not the other way round: NaN allows nothing.
  if (!(memoryBytes <= maxMemoryBytes)) {
    throw new VmError(
      "VM_INCOMPATIBLE",
      `Cannot restore a VM with ${memoryBytes} bytes of memory: must be <= ${maxMemoryBytes} here`,
      {
        hint: "allow more: --memory of vm receive, maxMemoryBytes of a script",
      },
    );
  }
  const { total } = Deno.systemMemoryInfo();
  if (memoryBytes > total) {
    throw new VmError(
      "VM_INCOMPATIBLE",
      `Cannot restore a VM with ${memoryBytes} bytes of memory: this machine has ${total}`,
    );
  }
}
