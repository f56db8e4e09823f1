/**
 * A program that goes on from an image.
 *
 * @module
 */

import {
  type CheckedFiles,
  checkFiles,
  Clock,
  clockState,
  type DeviceParts,
  FilesError,
  type FilesPart,
  filesState,
  pendingState,
  type PendingStateV3,
} from "../devices/mod.ts";
import {
  decodeState,
  ImageError,
  type Section,
  SectionSet,
  type StateSchema,
} from "../state/mod.ts";
import {
  checkLength,
  checkMemoryParts,
  checkSyscall,
  checkVcpuState,
  loadVcpu,
  type Memory,
  memoryState,
  type PartInFile,
  probeSyscall,
  vcpuState,
  type VcpuStateV1,
  VmError,
} from "../vmm/mod.ts";
import { AddressSpace } from "./address_space.ts";
import {
  addressSpaceState,
  type AddressSpaceStateV5,
} from "./address_space_state.ts";
import { Devices } from "./devices.ts";
import type { Hardware } from "./hardware.ts";
import {
  checkMachine,
  machineState,
  type MachineStateV1,
} from "./machine_state.ts";
import { Process, processState } from "./process.ts";
import { openPaths, openRoot, type ProgramParts } from "./program_parts.ts";
import { type FoundDevice, takeDevices } from "./restore_devices.ts";
import type { RestoreOptions } from "./vm_options.ts";

/** All that an image says, checked as far as it can be by itself. */
export interface SavedVm {
  /** The machine. */
  readonly machine: MachineStateV1;
  /** The registers. */
  readonly vcpu: VcpuStateV1;
  /** The parts of memory, and where each is in the image. */
  readonly memory: readonly PartInFile[];
  /** The address space. */
  readonly space: AddressSpaceStateV5;
  /** The process. */
  readonly process: Process;
  /** The clock, which stands. */
  readonly clock: Clock;
  /** The calls that wait. */
  readonly pending: PendingStateV3;
  /** The descriptors. */
  readonly files: readonly FilesPart[];
  /** The devices that are plugins. */
  readonly devices: readonly DeviceParts[];
}

/**
 * Reads an image's state, before anything is made of it.
 *
 * @param found all of the image's sections, in order
 * @param readData gives a section's data, checked
 * @param definitions of its devices
 * @param maxMemoryBytes how much memory its user allows
 * @throws {ImageError} for state that is missing, left over, of another version
 * or senseless; {VmError} when this machine has no room for it
 */
export function readSaved(
  found: readonly Section[],
  readData: (section: Section) => Uint8Array,
  definitions: readonly FoundDevice[],
  maxMemoryBytes?: number,
): SavedVm {
  const sections = new SectionSet<Section>(found);
  const take = <S>(schema: StateSchema<S>): S =>
    decodeState(schema, sections.take(schema.kind));
  const machine = take(machineState);
  checkMachine(machine, machine.memoryBytes, maxMemoryBytes);
  let leftBytes = machine.memoryBytes;
  const saved: SavedVm = {
    machine,
    vcpu: take(vcpuState),
    memory: sections.takeParts(memoryState.kind).map((section) => {
      const part = {
        state: decodeState(memoryState, section),
        dataOffset: section.dataOffset,
        dataBytes: section.dataBytes,
        read: () => readData(section),
      };
      // Of no more than there is: what many parts say takes memory, too.
      leftBytes -= checkLength(part);
      if (leftBytes < 0) {
        throw new VmError(
          "VM_MEMORY",
          'Cannot restore "memory": its parts have more pages than there are',
        );
      }
      return part;
    }),
    space: take(addressSpaceState),
    process: new Process(take(processState)),
    clock: new Clock(take(clockState)),
    pending: take(pendingState),
    files: sections.takeParts(filesState.kind).map((section) => ({
      state: decodeState(filesState, section),
      data: () => readData(section),
    })),
    devices: takeDevices(definitions, sections, readData),
  };
  sections.finish();
  checkCalls(saved.process, saved.pending);
  checkMachine(saved.machine, checkMemoryParts(saved.memory), maxMemoryBytes);
  return saved;
}

/** Refuses a call of no task. @throws {ImageError} */
function checkCalls(process: Process, { calls }: PendingStateV3): void {
  for (const { task } of calls) {
    if (task < process.tasks.size) continue;
    throw new ImageError(
      "IMAGE_STATE",
      `Cannot load "pending-io": a call is of task ${task}, and there are ${process.tasks.size}`,
    );
  }
}

/** A saved program in a fresh VM, but for its files: those were only checked. */
export interface ThawedParts extends Omit<ProgramParts, "fds"> {
  /** The files, found as they must be, and not changed yet. */
  readonly files: CheckedFiles;
}

/**
 * Puts a saved program into a fresh VM, paused where it was. Nothing outside of
 * the VM is changed.
 *
 * @param bringMemory brings the saved pages into fresh memory
 * @throws {VmError} when this machine cannot run it; {FilesError} when a file
 * changed; the signal's reason
 */
export async function thaw(
  { kvm, vm, vcpu, memory }: Hardware,
  saved: SavedVm,
  bringMemory: (memory: Memory) => void,
  options: RestoreOptions,
): Promise<ThawedParts> {
  checkVcpuState(vcpu, saved.vcpu);
  checkSyscall(() => probeSyscall(kvm), saved.machine.syscall, saved.vcpu);
  bringMemory(memory);
  memory.attach(vm);
  loadVcpu(vcpu, kvm, saved.vcpu);
  for (const { registers } of saved.process.tasks.values()) {
    registers?.check(vcpu);
  }
  using owned = new DisposableStack();
  const paths = owned.use(openPaths(options.allow, openRoot(options.root)));
  const devices = Devices.make(saved.devices);
  owned.defer(() => void devices[Symbol.asyncDispose]());
  const space = new AddressSpace(
    memory,
    saved.space,
    (gpa, lengthBytes) => devices.claims(gpa, lengthBytes),
  );
  const files = await checkFiles(saved.files, {
    paths,
    console: options.console,
    clock: saved.clock,
    policy: options.files ?? "check",
    memoryBytes: memory.sizeBytes,
    mostUnlinkedBytes: options.maxMemoryBytes ??
      Deno.systemMemoryInfo().total,
    reopen: (state) => devices.reopen(state),
  }, options.signal);
  owned.use(files);
  space.files.check(files.mapped);
  owned.move();
  const { process, clock, pending } = saved;
  return { space, process, files, pending, clock, paths, devices };
}

/** State that does not make sense is the image's fault, whoever found it. */
export function blameImage(error: unknown): unknown {
  if (!(error instanceof FilesError || error instanceof VmError)) return error;
  const { code, message } = error;
  const isState = code === "FILES_STATE" || code === "VM_MEMORY" ||
    code === "VM_CONFIG";
  return isState
    ? new ImageError("IMAGE_STATE", message, { cause: error })
    : error;
}
