/**
 * Which devices of an image could not be made again here: asked before there is
 * any of their state, so that no memory moves for nothing.
 *
 * @module
 */

import { checkConfig, type DeviceSpec, LiveDevice } from "../devices/mod.ts";
import { ImageError, type StateSection } from "../state/mod.ts";
import { VmError } from "../vmm/mod.ts";
import { Devices, nameDevices } from "./devices.ts";
import {
  checkNames,
  findDevice,
  type FoundDevice,
  match,
  recordsIn,
} from "./restore_devices.ts";

/**
 * Every device of an image that could not be made again here, with the reason:
 * those that are not found, whose names or configuration do not fit, or whose
 * claims are those of another.
 *
 * Nothing of the host is touched: of those that reach it only the configuration
 * is read. What others claim is looked at on fresh ones, which go at once.
 *
 * @param specs what the user named
 */
export async function misfitDevices(
  sections: Iterable<StateSection>,
  specs: readonly DeviceSpec[] = [],
): Promise<Error[]> {
  const wrong: Error[] = [];
  const attempt = async <T>(look: () => T): Promise<Awaited<T> | undefined> => {
    try {
      return await look();
    } catch (error) {
      const isMisfit = error instanceof ImageError || error instanceof VmError;
      if (!isMisfit) throw error;
      wrong.push(error);
    }
  };
  const records = await attempt(() => recordsIn(sections)) ?? [];
  await attempt(() => checkNames(records));
  await attempt(() => nameDevices(specs));
  const given = match(records, specs, (error) => void wrong.push(error));
  const fitting: FoundDevice[] = [];
  for (const record of records) {
    await attempt(async () => {
      const found = await findDevice(record, given.get(record));
      checkConfig(found);
      if (found.definition.contained) fitting.push(found);
    });
  }
  wrong.push(...await conflicts(fitting));
  return wrong;
}

/** Every claim that two of these devices make, or that the VM has itself. */
async function conflicts(found: readonly FoundDevice[]): Promise<Error[]> {
  const wrong: Error[] = [];
  await using devices = Devices.make([]);
  for (const parts of found) {
    let device: LiveDevice;
    try {
      device = new LiveDevice(parts);
    } catch {
      continue; // with its state it may be another matter
    }
    try {
      devices.attach(device);
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      wrong.push(error);
    }
  }
  return wrong;
}
