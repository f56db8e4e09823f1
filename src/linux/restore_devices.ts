/**
 * Finding the definition of each device that an image has.
 *
 * An image must not have code run, or files and network used, that its maker
 * chose: it may bring back only a device that comes with the VMM and reaches
 * nothing of the host. Any other is the user's to name.
 *
 * @module
 */

import type {
  DeviceDefinition,
  DeviceParts,
  DeviceSection,
  DeviceSpec,
} from "../devices/mod.ts";
import {
  decodeState,
  ImageError,
  printable,
  type StateSection,
} from "../state/mod.ts";
import { VmError } from "../vmm/mod.ts";
import { nameDevices, valuesOf } from "./devices.ts";
import { type DeviceRecord, devicesState } from "./devices_state.ts";
import { isBuiltin, loadBuiltin, pathOfSpecifier } from "./load_device.ts";

/** A device of an image, with all that is needed to make it again. */
export type FoundDevice = Omit<DeviceParts, "saved">;

/** What sections can be taken from: those of one image. */
export interface DeviceSections<T extends StateSection> {
  /** Whether there is one, not taken yet. */
  has(kind: string, id?: string): boolean;
  /** Takes all parts of one component. */
  takeParts(kind: string, id?: string): T[];
}

/**
 * Finds the definition of each device in an image.
 *
 * @param sections of the image
 * @param specs what the user named
 * @throws {ImageError} IMAGE_MISSING for a device that must be named,
 * IMAGE_LEFTOVER for one that the image does not have; {VmError} when a module
 * cannot be loaded
 */
export async function findDevices(
  sections: Iterable<StateSection>,
  specs: readonly DeviceSpec[] = [],
  warn?: (message: string) => void,
): Promise<FoundDevice[]> {
  const records = recordsIn(sections);
  checkNames(records);
  nameDevices(specs); // refuses what does not fit
  const given = match(records, specs);
  const found: FoundDevice[] = [];
  for (const record of records) {
    found.push(await findDevice(record, given.get(record), warn));
  }
  return found;
}

/** Refuses two of one name. @throws {ImageError} */
export function checkNames(records: readonly DeviceRecord[]): void {
  const ids = new Set(records.map(({ id }) => id));
  if (ids.size === records.length) return;
  throw new ImageError(
    "IMAGE_STATE",
    'Cannot restore "devices": two have the same name',
    { section: "devices" },
  );
}

/**
 * Finds one device of an image.
 *
 * @param spec what the user named for it
 * @throws as {@linkcode findDevices} does
 */
export async function findDevice(
  record: DeviceRecord,
  spec: DeviceSpec | undefined,
  warn?: (message: string) => void,
): Promise<FoundDevice> {
  const { id } = record;
  const definition = await definitionOf(record, spec);
  // What reaches the host is configured by the user alone.
  const values = {
    ...(definition.contained ? Object.fromEntries(record.config) : {}),
    ...valuesOf(spec?.config),
  };
  const specifier = spec ? spec.specifier ?? null : record.specifier;
  return { definition, id, values, specifier, warn };
}

/** Whether a component is one of the devices that an image says it has. */
export function isDeviceOf(
  sections: Iterable<StateSection>,
): (component: { readonly kind: string; readonly id: string }) => boolean {
  const records = readableRecords(sections);
  return ({ kind, id }) => records.some((r) => r.kind === kind && r.id === id);
}

function readableRecords(
  sections: Iterable<StateSection>,
): readonly DeviceRecord[] {
  try {
    return recordsIn(sections);
  } catch (error) {
    if (error instanceof ImageError) return [];
    throw error;
  }
}

/** The devices that an image says it has. @throws {ImageError} */
export function recordsIn(
  sections: Iterable<StateSection>,
): readonly DeviceRecord[] {
  const section = [...sections].find(({ kind }) => kind === devicesState.kind);
  return section ? decodeState(devicesState, section).devices : [];
}

/** The definition of a device, which must know its state. */
async function definitionOf(
  record: DeviceRecord,
  spec: DeviceSpec | undefined,
): Promise<DeviceDefinition> {
  const definition = spec?.definition ?? await loadAgain(record);
  if (record.version <= definition.version) return definition;
  throw tooNew(record, definition.version);
}

/**
 * Which device of the image each of the user's stands for.
 *
 * @param refuse takes the error of one that stands for none; default: throws it
 */
export function match(
  records: readonly DeviceRecord[],
  specs: readonly DeviceSpec[],
  refuse: (error: ImageError) => void = (error) => {
    throw error;
  },
): Map<DeviceRecord, DeviceSpec> {
  const given = new Map<DeviceRecord, DeviceSpec>();
  // Those with a name first: the others take what is left of their kind.
  const inOrder = [
    ...specs.filter(({ id }) => id !== undefined),
    ...specs.filter(({ id }) => id === undefined),
  ];
  for (const spec of inOrder) {
    const { kind } = spec.definition;
    const record = records.find((r) =>
      !given.has(r) &&
      (spec.id === undefined ? r.kind === kind : r.id === spec.id)
    );
    if (record === undefined) {
      const name = spec.id === undefined ? "" : ` "${spec.id}"`;
      refuse(
        new ImageError(
          "IMAGE_LEFTOVER",
          `Cannot restore with a device${name} of kind ${kind}: the image has ${
            records.map(describe).join(", ") || "no devices"
          }`,
          { hint: "leave it out: no device can be added to a saved VM" },
        ),
      );
      continue;
    }
    if (record.kind !== kind) {
      refuse(
        new ImageError(
          "IMAGE_STATE",
          `Cannot restore device ${describe(record)} as one of kind ${kind}`,
        ),
      );
      continue;
    }
    given.set(record, spec);
  }
  return given;
}

function describe({ id, kind }: DeviceRecord): string {
  return printable(`"${id}" of kind ${kind}`);
}

/** The definition of a device that the user did not name. */
async function loadAgain(record: DeviceRecord): Promise<DeviceDefinition> {
  const { specifier, kind } = record;
  if (specifier === null || !isBuiltin(specifier)) {
    throw missing(record, "it must be named");
  }
  let definition: DeviceDefinition;
  try {
    definition = await loadBuiltin(specifier);
  } catch (cause) {
    if (!(cause instanceof VmError)) throw cause;
    throw missing(record, "it does not come with this version", cause);
  }
  if (definition.kind !== kind) {
    throw missing(record, `${specifier} is of kind ${definition.kind}`);
  }
  if (!definition.contained) {
    throw missing(record, "it can reach this machine, so it must be named");
  }
  return definition;
}

function tooNew(record: DeviceRecord, known: number): ImageError {
  const { id, kind, version } = record;
  return new ImageError(
    "IMAGE_VERSION",
    printable(
      `Cannot load "${id}": version of ${kind} is ${version}, must be <= ${known}`,
    ),
    {
      section: describe(record),
      hint: "use the version that saved it, or a later one",
    },
  );
}

/** What a hint may show: it is copied into a shell. */
function isPlain(text: string): boolean {
  return /^[\w./:@%+=-]*$/.test(text);
}

function missing(
  record: DeviceRecord,
  why: string,
  cause?: unknown,
): ImageError {
  const { id, specifier, config } = record;
  const path = pathOfSpecifier(specifier ?? "").replace(/^file:\/\//, "");
  const named = path !== "" && isPlain(path) ? path : "PATH";
  const values = [...config, ["id", id]].map(([k, v]) => `${k}=${v}`)
    .filter(isPlain).join(",");
  const from = specifier === null ? "a script" : specifier;
  return new ImageError(
    "IMAGE_MISSING",
    `Cannot restore device ${describe(record)} from ${printable(from)}: ${why}`,
    {
      section: describe(record),
      cause,
      hint:
        `name it, or another of its kind, if you trust it: --device=${named}:${values}, or in a script "devices"`,
    },
  );
}

/** Takes the sections of each device. @throws {ImageError} */
export function takeDevices<T extends StateSection>(
  found: readonly FoundDevice[],
  sections: DeviceSections<T>,
  dataOf: (section: T) => Uint8Array,
): DeviceParts[] {
  if (sections.has(devicesState.kind)) sections.takeParts(devicesState.kind);
  return found.map((device) => {
    const { id, definition: { kind } } = device;
    const parts = sections.has(kind, id) ? sections.takeParts(kind, id) : [];
    const saved = parts.map((section): DeviceSection => ({
      ...pick(section),
      data: () => dataOf(section),
    }));
    return { ...device, saved };
  });
}

function pick(section: StateSection): StateSection {
  const { id, kind, version, part, payload } = section;
  return { id, kind, version, part, payload };
}
