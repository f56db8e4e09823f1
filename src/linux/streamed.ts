/**
 * A VM from a stream: memory goes to where it belongs as it comes, so that no
 * more than one section is held beside it.
 *
 * @module
 */

import {
  type ByteSource,
  decodeState,
  ImageError,
  readImage,
  type Section,
  Spool,
} from "../state/mod.ts";
import {
  type MemoryPart,
  memoryState,
  placesOf,
  unpackPart,
} from "../vmm/mod.ts";
import { Hardware } from "./hardware.ts";
import { checkMachine, machineState } from "./machine_state.ts";
import { findDevices } from "./restore_devices.ts";
import { readSaved, type SavedVm } from "./thaw.ts";
import type { RestoreOptions } from "./vm_options.ts";

/** What a stream brought. */
export interface StreamedVm {
  /** A VM with the saved memory. */
  readonly hardware: Hardware;
  /** The state that is to go into it. */
  readonly saved: SavedVm;
  /** The image's digest, hex digits: what came has it. */
  readonly digest: string;
}

/**
 * Reads an image from a stream, to its end: what is there then was checked
 * whole.
 *
 * @param owners take what is opened: the VM, and what the image carries of files
 * @throws {ImageError} whatever is wrong with the image or the stream;
 * {VmError} when this machine has no room for it; {KvmError}; the signal's
 * reason
 */
export async function readStreamed(
  source: ReadableStream<Uint8Array> | ByteSource,
  owners: {
    readonly vm: DisposableStack;
    readonly source: DisposableStack;
  },
  options: Pick<
    RestoreOptions,
    "signal" | "devices" | "maxMemoryBytes" | "warn"
  >,
): Promise<StreamedVm> {
  const { signal } = options;
  const spool = owners.source.use(new Spool());
  const sections: Section[] = [];
  let hardware: Hardware | undefined;
  /** The memory of the machine that the image began with. */
  const memoryFor = (section: Section) => {
    if (hardware) return hardware.memory;
    const machine = sections.find(({ kind }) => kind === machineState.kind);
    if (!machine) {
      throw new ImageError(
        "IMAGE_STATE",
        `Cannot restore: memory comes before the state of ${machineState.kind}`,
        { section: section.kind, offset: section.offset },
      );
    }
    const config = decodeState(machineState, machine);
    const { sizeBytes } = decodeState(memoryState, section);
    checkMachine(config, sizeBytes, options.maxMemoryBytes);
    hardware = owners.vm.use(Hardware.open(config.memoryBytes));
    return hardware.memory;
  };
  const { digest } = await readImage(source, {
    place(section) {
      if (section.kind !== memoryState.kind) return undefined;
      return placesOf(memoryFor(section), partOf(section));
    },
    section(section, data) {
      sections.push(section);
      if (section.kind === memoryState.kind) {
        const memory = memoryFor(section);
        if (data.length > 0) unpackPart(memory, partOf(section), data);
      } else {
        // Content of files, and what devices have.
        spool.put(section.sequence, data);
      }
    },
  }, { signal });
  const definitions = await findDevices(
    sections,
    options.devices,
    options.warn,
  );
  const take = ({ sequence }: Section) => spool.take(sequence);
  const saved = readSaved(
    sections,
    take,
    definitions,
    options.maxMemoryBytes,
  );
  // Memory has at least one part, or readSaved would have said so.
  return { hardware: hardware!, saved, digest };
}

function partOf(section: Section): MemoryPart {
  return {
    state: decodeState(memoryState, section),
    dataBytes: section.dataBytes,
  };
}
