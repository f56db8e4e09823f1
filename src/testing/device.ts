/**
 * The conformance suite of devices.
 *
 * @module
 */

import { type DeviceSpec, LiveDevice } from "../devices/mod.ts";
import { ImageError } from "../state/mod.ts";
import { VmError } from "../vmm/mod.ts";
import {
  check,
  isEqual,
  type Register,
  sectionsOf,
  testComponent,
  type TestSection,
} from "./component.ts";
import { type DeviceProbe, LoneDevice } from "./device_probe.ts";

/** What can be chosen of the suite. */
export interface TestDeviceOptions {
  /** Registers a test; default `Deno.test`. */
  readonly test?: Register;
  /** What the device is called in the names of the tests; default its kind. */
  readonly name?: string;
}

/**
 * Registers the tests that every device is to pass: its state survives a
 * restore, quiescing twice is as good as once, its claims are the same after a
 * restore, and another kind, a newer version or rubbish is refused with an
 * error that names the device.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { defineDevice } from "../devices/mod.ts";
 * import { testDevice } from "./mod.ts";
 *
 * const counter = defineDevice({
 *   kind: "counter",
 *   version: 1,
 *   create(_context, saved?: { count: number }) {
 *     let count = Number(saved?.count ?? 0);
 *     return {
 *       ports: [{ first: 0x500, count: 1, read: () => count++ }],
 *       dump: () => ({ count }),
 *     };
 *   },
 * });
 *
 * const names: string[] = [];
 * testDevice(
 *   () => counter(),
 *   (device) => void device.in(0x500),
 *   { test: (name) => void names.push(name) }, // leave out for Deno.test
 * );
 * assertEquals(names[0], "counter: what is restored is what was saved");
 * ```
 *
 * @param make gives the device with a configuration
 * @param mutate changes what the device would save, as a program would
 */
export function testDevice(
  make: () => DeviceSpec,
  mutate: (device: DeviceProbe) => void | Promise<void>,
  options: TestDeviceOptions = {},
): void {
  const { kind, version } = make().definition;
  const { test = Deno.test, name = kind } = options;
  const probe = (saved?: readonly TestSection[]) => {
    const { definition, config = {}, specifier = null } = make();
    const values = Object.fromEntries(
      Object.entries(config).map(([key, value]) => [key, String(value)]),
    );
    const parts = { definition, id: name, values, specifier, saved };
    return new LoneDevice(new LiveDevice(parts));
  };
  const dump = async ({ device }: LoneDevice) => {
    await device.quiesce();
    return await device.dump();
  };
  const subject = { name, kind, version };

  testComponent<LoneDevice>({
    ...subject,
    make: () => probe(),
    mutate,
    dump,
    restore: probe,
    isRefusal: (error) =>
      (error instanceof ImageError || error instanceof VmError) &&
      error.message.includes(name),
    dispose: (device) => device[Symbol.asyncDispose](),
  }, test);

  test(`${name}: it can be quiesced twice, and goes on`, async () => {
    await using device = probe();
    await mutate(device);
    const once = sectionsOf(subject, await dump(device));
    const twice = sectionsOf(subject, await dump(device));
    check(isEqual(once, twice), "its state changed between the two");
    await mutate(device);
  });

  test(`${name}: it claims the same after a restore`, async () => {
    await using device = probe();
    await mutate(device);
    const sections = sectionsOf(subject, await dump(device));
    await using restored = probe(sections);
    const [before, after] = [device, restored].map(({ device }) =>
      JSON.stringify([
        device.ports.map(({ first, count }) => [first, count]),
        device.mmio.map(({ gpa, lengthBytes }) => [gpa, lengthBytes]),
        device.paths,
      ])
    );
    check(before === after, `${before} became ${after}`);
  });
}
