/**
 * How it travels which devices a VM has.
 *
 * @module
 */

import * as v from "valibot";
import type { LiveDevice } from "../devices/mod.ts";
import type { Component, Dump, StateSchema } from "../state/mod.ts";

/** Most devices of one VM. */
export const MAX_DEVICES = 256;

const text = v.pipe(v.string(), v.maxLength(4096));

/** How it travels which devices a VM has. */
export const devicesState = {
  kind: "devices",
  version: 1,
  schema: v.object({
    devices: v.pipe(
      v.array(v.object({
        /** Its name; the id of its section, if it has one. */
        id: v.pipe(v.string(), v.regex(/^[\w.-]{1,48}$/)),
        /** What it is; the kind of its section. */
        kind: v.pipe(v.string(), v.maxLength(24)),
        /** The version of its definition. */
        version: v.pipe(v.number(), v.integer(), v.minValue(1)),
        /** Where its definition was loaded from; null: a script had it. */
        specifier: v.nullable(text),
        /** Its configuration: keys and values. */
        config: v.pipe(
          v.array(v.tuple([text, text])),
          v.maxLength(64),
        ),
      })),
      v.maxLength(MAX_DEVICES),
    ),
  }),
} satisfies StateSchema<unknown>;

/** Which devices a VM has, version 1. */
export type DevicesStateV1 = v.InferOutput<typeof devicesState.schema>;

/** What an image says of a device, beside its own state. */
export type DeviceRecord = DevicesStateV1["devices"][number];

/** The component that dumps which devices there are. */
export class DevicesSaver implements Component {
  readonly id = "devices";
  readonly kind: string = devicesState.kind;
  readonly version: number = devicesState.version;
  readonly #devices: readonly LiveDevice[];

  /** @param devices those of the VM */
  constructor(devices: readonly LiveDevice[]) {
    this.#devices = devices;
  }

  /** Answers with each device, or with nothing when there is none. */
  dump(): Dump {
    if (this.#devices.length === 0) return { answer: "nothing" };
    const state: DevicesStateV1 = {
      devices: this.#devices.map(({ id, kind, version, parts }) => ({
        id,
        kind,
        version,
        specifier: parts.specifier,
        config: Object.entries(parts.values),
      })),
    };
    return { answer: "payload", value: state };
  }
}
