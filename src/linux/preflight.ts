/**
 * Whether a VM could go on here: asked before any of its memory moves.
 *
 * @module
 */

import {
  clockState,
  filesState,
  type FilesTable,
  misfits,
  pendingState,
} from "../devices/mod.ts";
import {
  ARCHITECTURE,
  type Component,
  decodeState,
  type Dump,
  FORMAT_VERSION,
  type ImageFile,
  type StateSchema,
  type StateSection,
  toSection,
} from "../state/mod.ts";
import {
  checkSyscall,
  checkVcpuState,
  memoryState,
  probeSyscall,
  vcpuState,
} from "../vmm/mod.ts";
import { addressSpaceState } from "./address_space_state.ts";
import { Hardware } from "./hardware.ts";
import { devicesState } from "./devices_state.ts";
import { checkMachine, machineState } from "./machine_state.ts";
import { processState } from "./process.ts";
import { openPaths, openRoot } from "./program_parts.ts";
import { misfitDevices } from "./device_misfits.ts";
import { isDeviceOf } from "./restore_devices.ts";
import type { RestoreOptions } from "./vm_options.ts";

/** What a VM needs of whoever is to go on with it. */
export interface Offer {
  /** The version of the image format. */
  readonly formatVersion: number;
  /** The architecture, as images name it. */
  readonly architecture: string;
  /** Every component: each must be known there. */
  readonly components: readonly {
    readonly kind: string;
    readonly id: string;
    readonly version: number;
  }[];
  /** The state of those that tell what is needed: machine, vCPU, files, devices. */
  readonly state: readonly StateSection[];
}

/** Every kind of state that this can load. */
const KNOWN: readonly StateSchema<unknown>[] = [
  machineState,
  vcpuState,
  addressSpaceState,
  processState,
  clockState,
  pendingState,
  filesState,
  devicesState,
  memoryState,
];

/** The kinds whose state is part of an offer. */
const TELLING: readonly string[] = [
  machineState.kind,
  vcpuState.kind,
  filesState.kind,
  devicesState.kind,
];

/** The memory of the VM that is made to look at what KVM can do here. */
const LOOK_BYTES = 4 * 1024 * 1024;

/** What the components of a VM that is held still need. */
export async function offerOf(
  components: readonly Component[],
): Promise<Offer> {
  const state: StateSection[] = [];
  for (const component of components) {
    if (!TELLING.includes(component.kind)) continue;
    const value = firstValue(await component.dump());
    if (value === undefined) continue;
    state.push(toSection(component, withoutContent(value)));
  }
  return {
    formatVersion: FORMAT_VERSION,
    architecture: ARCHITECTURE,
    components: components.map(({ kind, id, version }) => ({
      kind,
      id,
      version,
    })),
    state,
  };
}

/** What the VM in an image needs. */
export function offerOfImage(image: ImageFile): Offer {
  const firsts = image.sections.filter(({ part }) => part === 0);
  const name = ({ kind, id, version }: StateSection) => ({ kind, id, version });
  return {
    formatVersion: image.header.formatVersion,
    architecture: image.header.architecture,
    components: firsts.map(name),
    state: firsts.filter(({ kind }) => TELLING.includes(kind)),
  };
}

/** The value of a payload, or of the first part. */
function firstValue(dump: Dump): unknown {
  if (dump.answer === "payload") return dump.value;
  if (dump.answer !== "many") return undefined;
  for (const { value } of dump.parts) return value;
}

/** The same table of descriptors without the bytes that wait in it. */
function withoutContent(value: unknown): unknown {
  const table = value as Partial<FilesTable>;
  if (table.part !== "table") return value;
  const none = new Uint8Array();
  return { ...table, consoleInput: none, buffered: none };
}

/**
 * Every reason why the VM of an offer could not go on here; none when it could.
 * Nothing is changed.
 */
export async function reasonsAgainst(
  offer: Offer,
  options: RestoreOptions = {},
): Promise<string[]> {
  const reasons: string[] = [];
  const attempt = <T>(look: () => T): T | undefined => {
    try {
      return look();
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : `${error}`);
    }
  };
  if (offer.architecture !== ARCHITECTURE) {
    reasons.push(
      `Its architecture is ${offer.architecture}, must be ${ARCHITECTURE}`,
    );
  }
  if (offer.formatVersion > FORMAT_VERSION) {
    reasons.push(
      `Its image has format ${offer.formatVersion}, must be <= ${FORMAT_VERSION}`,
    );
  }
  for (const { message } of await misfitDevices(offer.state, options.devices)) {
    reasons.push(message);
  }
  const isDevice = isDeviceOf(offer.state);
  for (const { kind, id, version } of offer.components) {
    if (isDevice({ kind, id })) continue;
    const known = KNOWN.find((schema) => schema.kind === kind);
    if (!known) reasons.push(`Nothing here takes ${kind} "${id}"`);
    else if (version > known.version) {
      reasons.push(
        `The version of ${kind} "${id}" is ${version}, must be <= ${known.version}`,
      );
    }
  }
  const take = <S, T>(schema: StateSchema<S>, look: (state: S) => T) => {
    const section = offer.state.find(({ kind }) => kind === schema.kind);
    // A newer one was told of above.
    if (!section || section.version > schema.version) return;
    return attempt(() => look(decodeState(schema, section)));
  };
  take(machineState, (machine) => {
    // Each by itself: one that does not fit hides none of the others.
    const { memoryBytes } = machine;
    attempt(() => checkMachine(machine, memoryBytes, options.maxMemoryBytes));
    take(vcpuState, (state) => {
      using hardware = Hardware.open(LOOK_BYTES);
      const { kvm, vcpu } = hardware;
      attempt(() => checkVcpuState(vcpu, state));
      attempt(() =>
        checkSyscall(() => probeSyscall(kvm), machine.syscall, state)
      );
    });
  });
  const files = take(filesState, (table) => table);
  if (files?.part === "table") {
    const { allow, files: policy = "check", root } = options;
    using paths = attempt(() => openPaths(allow, openRoot(root)));
    const wrong = paths ? await misfits(files, { paths, policy }) : [];
    for (const { message } of wrong) reasons.push(message);
  } else if (files) reasons.push("The table of files is missing");
  return reasons;
}
