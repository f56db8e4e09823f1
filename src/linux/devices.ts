/**
 * The devices of a VM that are plugins: made, found by path, saved together.
 *
 * @module
 */

import {
  type ConfigInput,
  type DeviceParts,
  type DeviceSpec,
  isDeviceFile,
  LiveDevice,
  type PluginFile,
  type PluginFileState,
} from "../devices/mod.ts";
import { type Component, yieldToEventLoop } from "../state/mod.ts";
import { Bus, VmError } from "../vmm/mod.ts";
import { DevicesSaver, MAX_DEVICES } from "./devices_state.ts";
import { settlesWithin } from "./time_limit.ts";

/** How long a device may take before a save gives up, ms. */
export const QUIESCE_TIMEOUT_MS = 5000;

/** How long a save waits for devices. */
export interface FreezeOptions {
  /** How long each may take, ms. */
  readonly timeoutMs: number;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** All devices at one moment. */
export interface FrozenDevices {
  /** The list of them, and the state of each. */
  readonly components: readonly Component[];
  /** Their open files. */
  readonly files: ReadonlyMap<PluginFile, PluginFileState>;
}

/** The devices of a VM. */
export class Devices implements AsyncDisposable {
  /** Which of them answers which port and address. */
  readonly bus = new Bus();
  readonly #devices: LiveDevice[] = [];
  readonly #byPath = new Map<string, LiveDevice>();

  /**
   * Makes devices.
   *
   * @throws {VmError} when one cannot be made, or two claim the same, naming
   * both; {ImageError} when saved state is no good. None is left then
   */
  static make(all: readonly DeviceParts[]): Devices {
    const devices = new Devices();
    try {
      for (const parts of all) devices.attach(new LiveDevice(parts));
      return devices;
    } catch (error) {
      // What they give back later is nobody's any more.
      void devices[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Takes a device, and gives it what it claims.
   *
   * @throws {VmError} when another has claimed the same, naming both
   */
  attach(device: LiveDevice): void {
    this.#devices.push(device);
    this.#claim(device);
    for (const path of device.paths) {
      const owner = isDeviceFile(path)
        ? "the VM itself"
        : this.#byPath.has(path)
        ? `"${this.#byPath.get(path)!.id}"`
        : undefined;
      if (owner !== undefined) {
        throw new VmError(
          "VM_DEVICE",
          `Cannot attach "${device.id}": ${path} is a file of ${owner}`,
        );
      }
      this.#byPath.set(path, device);
    }
  }

  /** Gives a device its ports and addresses. */
  #claim(device: LiveDevice): void {
    try {
      this.bus.attach(device);
    } catch (cause) {
      if (cause instanceof VmError) throw cause;
      throw new VmError(
        "VM_DEVICE",
        `Cannot attach "${device.id}": its ports or mmio are no claims`,
        { cause },
      );
    }
  }

  // --- files ---

  /** Whether a path of the program's names a file of one of them. */
  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** Opens a file for which {@linkcode has} holds; or a negative errno. */
  open(path: string, flags: number): PluginFile | number {
    return this.#byPath.get(path)!.open(path, flags);
  }

  /**
   * Opens again a file that was open when the VM was saved; `undefined` when
   * the device it names has none of this path.
   *
   * @throws {ImageError} when the device cannot
   */
  reopen(state: PluginFileState): PluginFile | undefined {
    const device = this.#byPath.get(state.path);
    if (device?.id !== state.device) return undefined;
    // With saved state it throws rather than give an errno.
    return device.open(state.path, state.flags, state) as PluginFile;
  }

  /** Whether a device claims all of a range of physical addresses. */
  claims(gpa: number, lengthBytes: number): boolean {
    return this.#devices.some((device) => device.claims(gpa, lengthBytes));
  }

  // --- saving ---

  /**
   * Takes the state of all devices at one moment, with the program stopped.
   *
   * @throws {VmError} VM_DEVICE naming a device that takes too long;
   * {ImageError} when one cannot be saved; the signal's reason
   */
  async freeze(options: FreezeOptions): Promise<FrozenDevices> {
    for (const device of this.#devices) {
      await this.#inTime(device, device.quiesce(), options);
    }
    // A promise that a device has settled reaches its file before this does.
    await yieldToEventLoop();
    const files = new Map<PluginFile, PluginFileState>();
    const frozen = this.#devices.map((device) => device.freeze(files));
    for (const [i, { ready }] of frozen.entries()) {
      await this.#inTime(this.#devices[i], ready, options);
    }
    const components = frozen.map(({ component }) => component);
    return {
      components: [new DevicesSaver(this.#devices), ...components],
      files,
    };
  }

  async #inTime(
    { id }: LiveDevice,
    done: Promise<void>,
    { timeoutMs, signal }: FreezeOptions,
  ): Promise<void> {
    if (await settlesWithin(done, timeoutMs, signal)) return;
    throw tooLate(id, timeoutMs);
  }

  /** Ends what devices have under way: the program has ended or left. */
  end(): void {
    for (const device of this.#devices) device.end();
  }

  /** Gives back what they hold, the last one first; none is waited for long. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const device of this.#devices.toReversed()) {
      if (await settlesWithin(device.dispose(), QUIESCE_TIMEOUT_MS)) continue;
      device.parts.warn?.(`device "${device.id}" has not ended its dispose`);
    }
  }
}

/** A device has a save wait too long. */
export function tooLate(id: string, timeoutMs: number): VmError {
  return new VmError(
    "VM_DEVICE",
    `Cannot save the VM: device "${id}" was not done within ${timeoutMs} ms`,
    {
      hint:
        "save later, or give it longer: --quiesce-timeout, quiesceTimeoutMs of a script",
    },
  );
}

/** Values as they are on a command line. */
export function valuesOf(config: ConfigInput = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, String(value)]),
  );
}

/**
 * Gives every new device its name, and says what it is made of.
 *
 * @throws {VmError} VM_CONFIG for a name that is given twice, or does not fit
 */
export function nameDevices(
  specs: readonly DeviceSpec[],
  warn?: (message: string) => void,
): DeviceParts[] {
  if (specs.length > MAX_DEVICES) {
    throw new VmError(
      "VM_CONFIG",
      `Cannot attach ${specs.length} devices: must be <= ${MAX_DEVICES}`,
    );
  }
  const owners = new Map<string, string>();
  for (const { id, definition: { kind } } of specs) {
    if (id === undefined) continue;
    if (!/^[\w.-]{1,48}$/.test(id)) {
      throw new VmError(
        "VM_CONFIG",
        `Cannot name a device "${id}": must be 1 to 48 of A-Z, a-z, 0-9, _, . and -`,
      );
    }
    if (owners.has(id)) {
      throw new VmError(
        "VM_CONFIG",
        `Cannot name a device of kind ${kind} "${id}": one of kind ${
          owners.get(id)
        } has this name`,
      );
    }
    owners.set(id, kind);
  }
  return specs.map(({ definition, config, id, specifier = null }) => {
    let name = id;
    for (let n = 0; name === undefined; n++) {
      const free = `${definition.kind}${n}`;
      if (!owners.has(free)) owners.set(name = free, definition.kind);
    }
    const values = valuesOf(config);
    return { definition, id: name, values, specifier, warn };
  });
}
