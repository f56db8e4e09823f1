/**
 * What an image of a VM is made of.
 *
 * @module
 */

import {
  FilesSaver,
  PendingSaver,
  type ScriptConsole,
} from "../devices/mod.ts";
import type { Component } from "../state/mod.ts";
import { MemorySaver, probeSyscall, VcpuSaver } from "../vmm/mod.ts";
import type { FrozenDevices } from "./devices.ts";
import type { Hardware } from "./hardware.ts";
import type { Linux } from "./linux.ts";
import { MachineSaver } from "./machine_state.ts";
import type { StreamSaveOptions } from "./vm_options.ts";

/** How the components of a VM are saved. */
export interface ComponentsOptions
  extends Pick<StreamSaveOptions, "compress" | "carryFiles"> {
  /** Its devices, as they are. */
  readonly devices: FrozenDevices;
  /** Where its standard streams lead. */
  readonly console?: ScriptConsole;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** Every component of a VM that is held still, in the order of an image. */
export function componentsOf(
  { kvm, vcpu, memory }: Hardware,
  linux: Linux,
  { devices, console, signal, compress, carryFiles }: ComponentsOptions,
): Component[] {
  return [
    new MachineSaver(memory.sizeBytes, probeSyscall(kvm)),
    new VcpuSaver(vcpu, kvm.msrIndexList()),
    linux.space,
    linux.process,
    linux.clock,
    new PendingSaver(() => linux.pending()),
    new FilesSaver(linux.fds, console, {
      carry: carryFiles,
      signal,
      plugins: devices.files,
      root: linux.paths.root,
    }),
    ...devices.components,
    new MemorySaver(memory, linux.space.blocks, compress),
  ];
}
