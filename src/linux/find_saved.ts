/**
 * All that a VM is restored from, found and checked: from a file or a stream.
 *
 * @module
 */

import {
  type ByteSource,
  ImageFile,
  openOrigin,
  parseEnd,
} from "../state/mod.ts";
import { mapImageFile } from "../vmm/mod.ts";
import { Hardware } from "./hardware.ts";
import { findDevices } from "./restore_devices.ts";
import { readStreamed } from "./streamed.ts";
import { blameImage, readSaved, thaw, type ThawedParts } from "./thaw.ts";
import type { RestoreOptions } from "./vm_options.ts";

/** Up to so many bytes of an image are checked before the VM runs. */
const VERIFY_FIRST_BYTES = 8 * 1024 * 1024;

/** A VM that is not one yet, and what is open for it. */
export interface FoundVm {
  /** KVM's VM, with the saved memory and registers. */
  readonly hardware: Hardware;
  /** What belongs to the program. */
  readonly parts: ThawedParts;
  /** What will be the VM's own. */
  readonly owned: DisposableStack;
  /** What it comes from, which may go once there is a VM. */
  readonly source: DisposableStack;
  /** The image in `source`, when it is to be checked while the VM runs. */
  readonly image?: ImageFile;
  /** The digest of an image that came as bytes, hex digits. */
  readonly digest?: string;
}

/** The same, as either kind of image gives it. */
type Found = Pick<FoundVm, "hardware" | "parts" | "image" | "digest">;

/**
 * Finds all that a VM is restored from; nothing outside of it is changed.
 *
 * @param from the path of an image, a URL that it can be read from, or its bytes
 * @throws {ImageError}, {FilesError}, {VmError}, {KvmError}, {TransportError};
 * the signal's reason
 */
export async function findSaved(
  from: string | URL | ReadableStream<Uint8Array> | ByteSource,
  options: RestoreOptions,
): Promise<FoundVm> {
  if (typeof from === "string" || from instanceof URL) {
    const end = parseEnd(from);
    if (end.scheme !== "file") {
      await using origin = await openOrigin(from, options);
      return await findSaved(origin.readable, options);
    }
    from = end.path;
  }
  options.signal?.throwIfAborted();
  using owned = new DisposableStack();
  using source = new DisposableStack();
  try {
    const { hardware, parts, image, digest } = typeof from === "string"
      ? await inFile(from, owned, source, options)
      : await inStream(from, owned, source, options);
    owned.use(parts.paths);
    owned.defer(() => void parts.devices[Symbol.asyncDispose]());
    owned.use(parts.files);
    return {
      hardware,
      parts,
      owned: owned.move(),
      source: source.move(),
      image,
      digest,
    };
  } catch (error) {
    throw blameImage(error);
  }
}

async function inFile(
  path: string,
  owned: DisposableStack,
  source: DisposableStack,
  options: RestoreOptions,
): Promise<Found> {
  const { signal } = options;
  const image = source.use(await ImageFile.open(path));
  const isSmall = image.summary.dataBytes <= VERIFY_FIRST_BYTES;
  const verify = options.verify ?? (isSmall ? "first" : "background");
  if (verify === "first") await image.verifyData({ signal });
  const definitions = await findDevices(
    image.sections,
    options.devices,
    options.warn,
  );
  signal?.throwIfAborted();
  const saved = readSaved(
    image.sections,
    (section) => image.readData(section),
    definitions,
    options.maxMemoryBytes,
  );
  const hardware = owned.use(Hardware.open(saved.machine.memoryBytes));
  const parts = await thaw(
    hardware,
    saved,
    (memory) => mapImageFile(memory, saved.memory, image),
    options,
  );
  return verify === "background"
    ? { hardware, parts, image }
    : { hardware, parts };
}

async function inStream(
  stream: ReadableStream<Uint8Array> | ByteSource,
  owned: DisposableStack,
  source: DisposableStack,
  options: RestoreOptions,
): Promise<Found> {
  const { signal } = options;
  const owners = { vm: owned, source };
  const { hardware, saved, digest } = await readStreamed(
    stream,
    owners,
    options,
  );
  signal?.throwIfAborted();
  return {
    hardware,
    parts: await thaw(hardware, saved, () => {}, options),
    digest,
  };
}
