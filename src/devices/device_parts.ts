/**
 * What a device is made of: its definition, and what of a configuration and of
 * an image is for it, read and checked.
 *
 * @module
 */

import {
  decodeState,
  type StateSchema,
  type StateSection,
  type StateShape,
} from "../state/mod.ts";
import { VmError } from "../vmm/mod.ts";
import type { DeviceDefinition, SavedPart } from "./define_device.ts";
import { ConfigValues } from "./device_config.ts";
import { messageOf } from "./errors.ts";

/** A section of a device, and how its bulk bytes are read. */
export interface DeviceSection extends StateSection {
  /** Reads its data; absent: it has none. */
  readonly data?: () => Uint8Array;
}

/** What a device is made of. */
export interface DeviceParts {
  /** What it is. */
  readonly definition: DeviceDefinition;
  /** Its name. */
  readonly id: string;
  /** Its configuration, as the user gave it. */
  readonly values: Readonly<Record<string, string>>;
  /** Where its definition was loaded from, if it was. */
  readonly specifier: string | null;
  /** Its sections in an image; absent: it is new. */
  readonly saved?: readonly DeviceSection[];
  /** Takes what the user should know. */
  readonly warn?: (message: string) => void;
}

/** Takes any state: `create` is to check it. */
const ANY: StateShape<unknown> = {
  "~standard": { vendor: "scratchvm", validate: (value) => ({ value }) },
};

/**
 * Checks the configuration of a device that is not made yet.
 *
 * @throws {VmError} VM_CONFIG
 */
export function checkConfig(parts: Omit<DeviceParts, "saved">): void {
  readConfig(parts);
}

/** Reads the configuration. @throws {VmError} VM_CONFIG */
export function readConfig({ definition, id, values }: DeviceParts): unknown {
  const reader = new ConfigValues(id, values);
  try {
    const config = definition.config?.(reader) ?? {};
    reader.finish();
    return config;
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw new VmError(
      "VM_CONFIG",
      `Cannot configure device "${id}": ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Reads saved state. @throws {ImageError} */
export function decodeSaved(
  { definition, saved }: DeviceParts,
): { value: unknown; savedParts: SavedPart[] } {
  if (saved === undefined || saved.length === 0) {
    return { value: undefined, savedParts: [] };
  }
  const { kind, version, upgrades, state = ANY } = definition;
  const first: StateSchema<unknown> = {
    kind,
    version,
    upgrades,
    schema: state,
  };
  const values = saved.map((section, i) =>
    decodeState(i === 0 ? first : { ...first, schema: ANY }, section)
  );
  const savedParts = saved.map(({ data }, i) => ({
    value: values[i],
    data: data?.() ?? new Uint8Array(),
  }));
  return { value: values[0], savedParts };
}
