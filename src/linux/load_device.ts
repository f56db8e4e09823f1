/**
 * Loading a device's module by its path.
 *
 * @module
 */

import {
  type DeviceDefinition,
  type DeviceSpec,
  isDeviceDefinition,
  parseNamedValues,
} from "../devices/mod.ts";
import { VmError } from "../vmm/mod.ts";

/** The folder of the devices that come with the VMM. */
const PLUGINS = new URL("../../plugins/", import.meta.url);

/** What the specifier of a device in that folder begins with. */
const BUILTIN = "builtin:";

/** Whether a specifier names a device that comes with the VMM. */
export function isBuiltin(specifier: string): boolean {
  return /^builtin:[a-z0-9_]+\.ts$/.test(specifier);
}

/** The path by which a user names what a specifier stands for. */
export function pathOfSpecifier(specifier: string): string {
  return specifier.replace(BUILTIN, "./plugins/");
}

/**
 * Loads a device and its configuration: `./plugins/counter.ts:step=2,id=c1`.
 *
 * The module runs with all the rights of this process; its default export must
 * be what {@linkcode defineDevice} gave.
 *
 * @param text a path, relative to the current folder, or a file: URL; then `:`
 * and values, if any
 * @throws {VmError} VM_DEVICE when it cannot be loaded; VM_CONFIG for values
 * that cannot be read
 */
export async function loadDevice(text: string): Promise<DeviceSpec> {
  const { name, values } = parseNamedValues(text);
  const { id, ...config } = values;
  const url = urlOf(name);
  const inFolder = url.href.startsWith(PLUGINS.href)
    ? BUILTIN + url.href.slice(PLUGINS.href.length)
    : "";
  return {
    definition: await load(url, name),
    config,
    id,
    specifier: isBuiltin(inFolder) ? inFolder : url.href,
  };
}

/**
 * Loads a device that comes with the VMM.
 *
 * @param specifier one for which {@linkcode isBuiltin} holds
 * @throws {VmError} VM_DEVICE when it cannot be loaded
 */
export function loadBuiltin(specifier: string): Promise<DeviceDefinition> {
  const name = specifier.slice(BUILTIN.length);
  return load(new URL(name, PLUGINS), pathOfSpecifier(specifier));
}

/** Where a module is. @throws {VmError} VM_DEVICE */
function urlOf(name: string): URL {
  if (name.startsWith("file:")) {
    try {
      return new URL(name);
    } catch (cause) {
      throw cannotLoad(name, "it is no URL", cause);
    }
  }
  let path: string;
  try {
    path = Deno.realPathSync(name);
  } catch (cause) {
    const isMissing = cause instanceof Deno.errors.NotFound;
    const why = isMissing ? "there is no such file" : (cause as Error).message;
    throw cannotLoad(name, why, cause);
  }
  const url = new URL("file:///");
  url.pathname = path.replaceAll("%", "%25");
  return url;
}

async function load(url: URL, name: string): Promise<DeviceDefinition> {
  let module: { readonly default?: unknown };
  try {
    module = await import(url.href);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw cannotLoad(name, why, cause);
  }
  if (module.default === undefined) {
    throw cannotLoad(name, "it has no default export");
  }
  if (!isDeviceDefinition(module.default)) {
    throw cannotLoad(name, "its default export is no device");
  }
  return module.default;
}

function cannotLoad(name: string, why: string, cause?: unknown): VmError {
  return new VmError("VM_DEVICE", `Cannot load device ${name}: ${why}`, {
    cause,
    hint: "its default export must be what defineDevice() gives",
  });
}
