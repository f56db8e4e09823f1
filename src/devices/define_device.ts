/**
 * Devices as scripts write them.
 *
 * A device is what {@linkcode DeviceDefinition.create} makes, fresh or from
 * saved state: restore constructs, it never loads into a device that lives.
 *
 * @module
 */

import type { Dump, Part, StateShape } from "../state/mod.ts";
import { type MmioClaim, type PortClaim, VmError } from "../vmm/mod.ts";
import type { ConfigValues } from "./device_config.ts";
import type { OpenDeviceFile } from "./device_handle.ts";

/** Kinds of sections that are not a plugin's. */
export const RESERVED_KINDS: readonly string[] = [
  "machine",
  "vcpu",
  "address-space",
  "process",
  "clock",
  "pending-io",
  "fd-table",
  "devices",
  "memory",
  "index",
];

/** What a device answers when it is saved: its state, or a {@linkcode Dump}. */
export type DeviceDump<S> =
  | S
  | Exclude<Dump, { answer: "payload" | "many" }>
  | { readonly answer: "payload"; readonly value: S }
  | {
    readonly answer: "many";
    readonly parts: readonly [Part & { readonly value: S }, ...Part[]];
  };

/** One part of saved state, from a dump that answered "many". */
export interface SavedPart {
  /**
   * What the part said, upgraded. Only that of the first was checked, by
   * `state`.
   */
  readonly value: unknown;
  /** Its bulk bytes. */
  readonly data: Uint8Array;
}

/** What a device is given when it is made. */
export interface DeviceContext<C = unknown> {
  /** Its name, unique in the VM: `counter0`. */
  readonly id: string;
  /** What {@linkcode DeviceOptions.config} made of the user's values. */
  readonly config: C;
  /** Aborts when the VM ends, is killed, or went on elsewhere. */
  readonly signal: AbortSignal;
  /** All parts of the saved state, the first one included. */
  readonly savedParts: readonly SavedPart[];
  /** Tells the user something. */
  warn(message: string): void;
  /**
   * Has every call that waits on one of the device's files tried again, and
   * every poll look again: something may be there.
   */
  wake(): void;
}

/** A device in a VM. Everything but `dump` is optional. */
export interface DeviceInstance<S = unknown> {
  /** The I/O ports it answers. The guest gets at them by `in` and `out`. */
  readonly ports?: readonly PortClaim[];
  /** The guest physical addresses it answers, at or above `MMIO_GPA`. */
  readonly mmio?: readonly MmioClaim[];
  /** The files it answers, by path: `/dev/name`. Called at each open. */
  readonly files?: Readonly<Record<string, OpenDeviceFile>>;
  /**
   * Its state: what CBOR can hold (plain objects, arrays, text, numbers,
   * bigints, `Uint8Array`). An object with a key `answer` is a {@linkcode Dump}.
   *
   * Called while the program stands still. State and the results of calls under
   * way are taken in one go, before anything else happens: an asynchronous
   * `dump` must look at its state before its first `await`.
   */
  dump(): DeviceDump<S> | Promise<DeviceDump<S>>;
  /** Called before `dump`: settles what can be settled soon. May be repeated. */
  quiesce?(): void | Promise<void>;
  /** Gives back what the device holds: the VM is gone. Called once. */
  dispose?(): void | Promise<void>;
}

/** What a device is defined by. */
export interface DeviceOptions<S, C> {
  /** What it is: the kind of its section in an image, such as `counter`. */
  readonly kind: string;
  /** The version of what `dump` gives, from 1. */
  readonly version: number;
  /**
   * Checks saved state, which anybody may have written. Without it, `create`
   * has to: its `saved` is then whatever the image holds.
   */
  readonly state?: StateShape<S>;
  /**
   * `upgrades[1]` makes state of version 2 from that of version 1. Pure.
   *
   * Of state that was dumped as many parts it is called for the value of each:
   * `part` is its number, 0 for the first. One that has nothing to upgrade is
   * given back as it is.
   */
  readonly upgrades?: Readonly<
    Record<number, (old: unknown, part: number) => unknown>
  >;
  /**
   * Whether it reaches nothing but the program in the VM: no files, network or
   * processes of the host. Only such a device may be made again by an image
   * alone; any other has to be named by the user of the restore, with its
   * configuration.
   */
  readonly contained?: boolean;
  /**
   * Reads the user's values; what it does not ask for is an error. Without it
   * there are no values. Pure.
   */
  config?(values: ConfigValues): C;
  /**
   * Makes a device: fresh, or as it was saved.
   *
   * @throws whatever it likes; the error names the device and keeps the cause
   */
  create(context: DeviceContext<C>, saved?: S): DeviceInstance<S>;
}

/** Values of a configuration, as a script gives them. */
export type ConfigInput = Readonly<Record<string, string | number | boolean>>;

/** A device to be made: a definition and its configuration. */
export interface DeviceSpec {
  /** What it is. */
  readonly definition: DeviceDefinition;
  /** Its configuration. */
  readonly config?: ConfigInput;
  /** Its name; default: its kind and a number. */
  readonly id?: string;
  /** Where the definition was loaded from, when it was. */
  readonly specifier?: string;
}

/**
 * A device that can be made; called, it becomes a {@linkcode DeviceSpec}:
 * `counter({ step: 2 })`.
 */
export interface DeviceDefinition<S = unknown, C = unknown>
  extends DeviceOptions<S, C> {
  /**
   * Chooses the configuration.
   *
   * @param config values by key, those of the command line
   * @param options the device's name
   */
  (config?: ConfigInput, options?: { readonly id?: string }): DeviceSpec;
}

/** Marks definitions, also those of another copy of this module. */
const DEFINITION = Symbol.for("scratchvm.device");

/** Whether a value is what {@linkcode defineDevice} gives. */
export function isDeviceDefinition(value: unknown): value is DeviceDefinition {
  return typeof value === "function" && Object.hasOwn(value, DEFINITION);
}

/**
 * Defines a kind of device.
 *
 * The type of the saved state is that of `state`, or of the second parameter of
 * `create`; what `dump` gives is checked against it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { defineDevice } from "./mod.ts";
 *
 * const counter = defineDevice({
 *   kind: "counter",
 *   version: 1,
 *   contained: true,
 *   config: (values) => ({ step: values.number("step", { default: 1 }) }),
 *   create({ config }, saved?: { count: number }) {
 *     let count = saved?.count ?? 0;
 *     return {
 *       ports: [{ first: 0x500, count: 1, read: () => count += config.step }],
 *       dump: () => ({ count }),
 *     };
 *   },
 * });
 * assertEquals(counter({ step: 2 }).definition.kind, "counter");
 * ```
 *
 * @throws {VmError} VM_DEVICE when kind or version do not fit an image
 */
export function defineDevice<S, C = Record<never, never>>(
  options: DeviceOptions<S, C>,
): DeviceDefinition<S, C> {
  const { kind, version } = options;
  const cannot = (why: string) =>
    new VmError("VM_DEVICE", `Cannot define a device "${kind}": ${why}`);
  if (typeof kind !== "string" || !/^[a-z][a-z0-9-]{0,23}$/.test(kind)) {
    throw cannot("its kind must be 1 to 24 of a-z, 0-9 and -");
  }
  if (RESERVED_KINDS.includes(kind)) throw cannot("this kind is the VM's own");
  if (!Number.isInteger(version) || version < 1 || version > 0xffff_ffff) {
    throw cannot(`its version is ${version}, must be a whole number from 1`);
  }
  if (typeof options.create !== "function") throw cannot("it has no create");
  const bind = (config?: ConfigInput, { id }: { id?: string } = {}) => ({
    definition: definition as DeviceDefinition,
    config,
    id,
  });
  const definition: DeviceDefinition<S, C> = Object.assign(bind, options, {
    [DEFINITION]: true,
  });
  return definition;
}
