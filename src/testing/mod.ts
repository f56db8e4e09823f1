/**
 * Tests that every component and every device is to pass.
 *
 * @module
 */

export {
  type Register,
  type TestComponent,
  testComponent,
  type TestSection,
} from "./component.ts";
export type { DeviceProbe, OpenedFile } from "./device_probe.ts";
export { testDevice, type TestDeviceOptions } from "./device.ts";
