/**
 * A device in a VM: what its definition made, and what is between it and the
 * rest. Nothing that a plugin throws or gives gets past here unnamed.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { type Dump, ImageError, MAX_PAYLOAD_BYTES } from "../state/mod.ts";
import {
  type Device,
  type MmioClaim,
  type PortClaim,
  VmError,
} from "../vmm/mod.ts";
import type { DeviceContext, DeviceInstance } from "./define_device.ts";
import { asDump, freezeDump, type FrozenDevice } from "./device_dump.ts";
import { DeviceErrno, type DeviceHandle } from "./device_handle.ts";
import { decodeSaved, type DeviceParts, readConfig } from "./device_parts.ts";
import { messageOf } from "./errors.ts";
import { O } from "./host_constants.ts";
import { type FileOwner, PluginFile } from "./plugin_file.ts";
import type { PluginFileState } from "./plugin_file_state.ts";
import { refusePromise } from "./promises.ts";

/** How many failures of a device's handlers the user is told of. */
const MAX_FAILURES_TOLD = 100;

/**
 * Most bytes of calls under way, and of answers that were not taken, that the
 * files of a device keep. They are in memory, and travel in one section of an
 * image with those of other devices: a quarter of what that may hold.
 */
export const MAX_HELD_BYTES: number = MAX_PAYLOAD_BYTES / 4;

/** A device in a VM. */
export class LiveDevice implements Device, FileOwner {
  readonly id: string;
  readonly kind: string;
  readonly version: number;
  readonly ports: readonly PortClaim[];
  readonly mmio: readonly MmioClaim[];
  /** The paths that it answers for. */
  readonly paths: readonly string[];
  /** What it was made of. */
  readonly parts: DeviceParts;
  /** Aborts when the VM ends. */
  readonly signal: AbortSignal;
  readonly #ending = new AbortController();
  readonly #files = new Set<PluginFile>();
  readonly #instance: DeviceInstance;
  #isDisposed = false;
  #failures = 0;
  #heldBytes = 0;
  #isFullTold = false;

  /**
   * Makes the device.
   *
   * @throws {VmError} VM_CONFIG for a configuration it does not take, VM_DEVICE
   * when it cannot be made; {ImageError} when its saved state is no good
   */
  constructor(parts: DeviceParts) {
    const { definition, id } = parts;
    this.parts = parts;
    this.id = id;
    this.kind = definition.kind;
    this.version = definition.version;
    this.signal = this.#ending.signal;
    const { value, savedParts } = decodeSaved(parts);
    const context: DeviceContext = {
      id,
      config: readConfig(parts),
      signal: this.signal,
      savedParts,
      warn: (message) => this.#warn(message),
      wake: () => this.wake(),
    };
    const instance = this.#make(context, value);
    this.#instance = instance;
    this.ports = instance.ports ?? [];
    this.mmio = instance.mmio ?? [];
    this.paths = Object.keys(instance.files ?? {});
    const bad = this.paths.find((path) => !/^\/dev\/[\w./-]+$/.test(path));
    if (bad !== undefined) {
      this.dispose().catch(() => {});
      throw new VmError(
        "VM_DEVICE",
        `Cannot attach "${id}": its file ${bad} must be /dev/ and a name`,
      );
    }
  }

  #make(context: DeviceContext, saved: unknown): DeviceInstance {
    const { definition, id } = this.parts;
    try {
      const instance = definition.create(context, saved);
      refusePromise(instance, "create");
      if (typeof instance?.dump === "function") return instance;
      throw new TypeError("create gave no object with a dump");
    } catch (cause) {
      this.#ending.abort();
      if (cause instanceof VmError || cause instanceof ImageError) throw cause;
      const { kind, version } = this;
      if (saved === undefined) {
        throw new VmError(
          "VM_DEVICE",
          `Cannot make device "${id}" of kind ${kind}: ${messageOf(cause)}`,
          { cause },
        );
      }
      throw new ImageError(
        "IMAGE_STATE",
        `Cannot load "${id}" of kind ${kind}, version ${version}: ${
          messageOf(cause)
        }`,
        { section: `${kind} "${id}"`, cause },
      );
    }
  }

  #warn(message: string): void {
    this.parts.warn?.(`device "${this.id}": ${message}`);
  }

  /** Has calls that wait on its files tried again. */
  wake(): void {
    for (const file of this.#files) file.wake();
  }

  // --- files ---

  /**
   * Opens one of its files.
   *
   * @param saved what an image says of it, when it is opened again
   * @returns the file, or a negative errno
   * @throws {ImageError} when it cannot be opened again as it was
   */
  open(
    path: string,
    flags: number,
    saved?: PluginFileState,
  ): PluginFile | number {
    const open = this.#instance.files![path];
    const file = new PluginFile(this, path, flags, saved);
    // Of a file opened by its path alone nothing is ever asked.
    if (flags & O.path) return file;
    this.#files.add(file);
    let handle: DeviceHandle | number;
    try {
      handle = open({
        path,
        flags,
        isAgain: saved !== undefined,
        signal: file.signal,
        wake: () => file.wake(),
      }, saved?.state);
      refusePromise(handle, "it");
      const isHandle = typeof handle === "object" && handle !== null;
      if (typeof handle !== "number" && !isHandle) {
        throw new TypeError("it gave no handle");
      }
    } catch (cause) {
      file.close();
      if (saved) throw this.#cannotReopen(path, messageOf(cause), cause);
      return this.errnoOf(`open of ${path}`, cause);
    }
    if (typeof handle !== "number") {
      file.attach(handle);
      return file;
    }
    file.close();
    if (saved) throw this.#cannotReopen(path, `it gave errno ${-handle}`);
    return handle < 0 ? handle : -ERRNO.EIO;
  }

  #cannotReopen(path: string, why: string, cause?: unknown): ImageError {
    const section = `${this.kind} "${this.id}"`;
    return new ImageError(
      "IMAGE_STATE",
      `Cannot restore ${path} of device "${this.id}": ${why}`,
      { section, cause },
    );
  }

  /** The errno for what a handler threw; the user is told, unless it is one. */
  errnoOf(what: string, error: unknown): number {
    if (error instanceof DeviceErrno) {
      const { errno } = error;
      if (Number.isInteger(errno) && errno > 0 && errno < 4096) return -errno;
    }
    // A program may have it fail as often as it likes.
    if (++this.#failures <= MAX_FAILURES_TOLD) {
      this.#warn(`${what} failed: ${messageOf(error)}`);
    }
    if (this.#failures === MAX_FAILURES_TOLD) {
      this.#warn("what fails from here on is not told");
    }
    return -ERRNO.EIO;
  }

  /** Whether all of a range of physical addresses is the device's. */
  claims(gpa: number, lengthBytes: number): boolean {
    return this.mmio.some((claim) =>
      gpa >= claim.gpa && gpa + lengthBytes <= claim.gpa + claim.lengthBytes
    );
  }

  /** Whether so many bytes of a call may be kept; the user is told if not. */
  mayHold(lengthBytes: number): boolean {
    if (this.#heldBytes + lengthBytes <= MAX_HELD_BYTES) return true;
    if (!this.#isFullTold) {
      this.#warn(
        `its calls under way and answers not taken hold ${this.#heldBytes} bytes, must be <= ${MAX_HELD_BYTES}: further calls fail with ENOBUFS`,
      );
    }
    this.#isFullTold = true;
    return false;
  }

  /** So many bytes more are kept for a file, or fewer. */
  held(lengthBytes: number): void {
    this.#heldBytes += lengthBytes;
  }

  /** A file of its own was closed. */
  forget(file: PluginFile): void {
    this.#files.delete(file);
  }

  // --- saving ---

  /** Settles what can be settled before it is saved. */
  async quiesce(): Promise<void> {
    try {
      await this.#instance.quiesce?.();
    } catch (cause) {
      throw new ImageError(
        "IMAGE_COMPONENT",
        `Cannot save "${this.id}": ${messageOf(cause)}`,
        { section: `${this.kind} "${this.id}"`, cause },
      );
    }
  }

  /** Its state now; it goes on meanwhile. */
  dump(): Promise<Dump> {
    return Promise.resolve(this.#instance.dump()).then(asDump);
  }

  /**
   * Takes its state at this moment, and with it that of its files.
   *
   * @param files takes the state of each file
   */
  freeze(files: Map<PluginFile, PluginFileState>): FrozenDevice {
    return freezeDump(this, () => this.#instance.dump(), () => {
      for (const file of this.#files) files.set(file, file.snapshot());
    });
  }

  /** Ends what is under way: the VM has ended, or goes on elsewhere. */
  end(): void {
    this.#ending.abort();
  }

  /** Gives back what it holds. What it throws, the user is told. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.end();
    try {
      await this.#instance?.dispose?.();
    } catch (error) {
      this.#warn(`dispose failed: ${messageOf(error)}`);
    }
  }
}
