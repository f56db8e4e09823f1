/**
 * A device without a VM: what a program could do to it, done by a test.
 *
 * @module
 */

import {
  IoVector,
  type LiveDevice,
  O,
  PluginFile,
  POLL,
} from "../devices/mod.ts";
import { ERRNO } from "../kvm/mod.ts";
import { BLOCK_BYTES, Bus, Memory } from "../vmm/mod.ts";

/** An open file of a device. */
export interface OpenedFile {
  /** Reads at most so many bytes; waits for them. Or a negative errno. */
  read(lengthBytes: number): Promise<Uint8Array | number>;
  /** Writes bytes; how many were taken, or a negative errno. */
  write(bytes: Uint8Array): Promise<number>;
  /** Makes a request; `data` is in and out. The result of the call. */
  ioctl(request: number, data: Uint8Array<ArrayBuffer>): Promise<number>;
  /** Which of poll's `events` hold. */
  poll(events: number): number;
  /** Closes it. */
  close(): void;
}

/** A device in the hands of a test. */
export interface DeviceProbe {
  /** What `in` from a port gives. */
  in(port: number, sizeBytes?: number): Promise<number>;
  /** Does `out` to a port. */
  out(port: number, value: number, sizeBytes?: number): Promise<void>;
  /** Reads 1 to 8 bytes at a physical address. */
  readMmio(gpa: number, lengthBytes: number): Promise<Uint8Array>;
  /** Writes 1 to 8 bytes at a physical address. */
  writeMmio(gpa: number, bytes: Uint8Array): Promise<void>;
  /**
   * Opens one of the device's files.
   *
   * @param flags O_* flags; default: reading and writing
   * @throws {Error} when there is none, or it gives an errno
   */
  open(path: string, flags?: number): OpenedFile;
}

/** An open file, and memory that its bytes go through. */
class ProbedFile implements OpenedFile {
  readonly #file: PluginFile;
  readonly #memory: Memory;

  constructor(file: PluginFile, memory: Memory) {
    this.#file = file;
    this.#memory = memory;
  }

  async read(lengthBytes: number): Promise<Uint8Array | number> {
    const done = await this.#call(
      () => this.#file.read(this.#io(lengthBytes, true)),
      POLL.in,
    );
    return done < 0 ? done : this.#memory.u8.slice(0, done);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.#memory.write(0, bytes);
    return this.#call(
      () => this.#file.write(this.#io(bytes.length, false)),
      POLL.out,
    );
  }

  ioctl(request: number, data: Uint8Array<ArrayBuffer>): Promise<number> {
    return this.#call(() => this.#file.ioctl(request, data), POLL.in);
  }

  poll(events: number): number {
    return this.#file.poll(events);
  }

  close(): void {
    this.#file.close();
  }

  #io(lengthBytes: number, into: boolean): IoVector {
    const io = new IoVector(this.#memory);
    io.reset(into);
    if (lengthBytes > 0) io.add(0, lengthBytes);
    io.wantedBytes = lengthBytes;
    return io;
  }

  async #call(call: () => number, events: number): Promise<number> {
    for (;;) {
      const result = call();
      if (result !== -ERRNO.EAGAIN) return result;
      await this.#file.wait(events, this.#file.signal);
      if (this.#file.signal.aborted) return -ERRNO.EINTR;
    }
  }
}

/** A device that is in no VM. */
export class LoneDevice implements DeviceProbe, AsyncDisposable {
  /** The device. */
  readonly device: LiveDevice;
  readonly #bus = new Bus();
  readonly #memory = new Memory(2 * BLOCK_BYTES);

  /** @param device a device that is in no VM */
  constructor(device: LiveDevice) {
    this.device = device;
    this.#bus.attach(device);
  }

  async in(port: number, sizeBytes = 1): Promise<number> {
    const value = await this.#bus.port(port)?.read?.(port, sizeBytes) ?? -1;
    return (value >>> 0) % 2 ** (8 * sizeBytes);
  }

  async out(port: number, value: number, sizeBytes = 1): Promise<void> {
    await this.#bus.port(port)?.write?.(port, sizeBytes, value);
  }

  async readMmio(gpa: number, lengthBytes: number): Promise<Uint8Array> {
    const data = new Uint8Array(lengthBytes);
    const claim = this.#bus.mmio(gpa);
    await claim?.read?.(gpa - claim.gpa, data);
    return data;
  }

  async writeMmio(gpa: number, bytes: Uint8Array): Promise<void> {
    const claim = this.#bus.mmio(gpa);
    await claim?.write?.(gpa - claim.gpa, bytes.slice());
  }

  open(path: string, flags: number = O.readWrite): OpenedFile {
    const file = this.device.paths.includes(path)
      ? this.device.open(path, flags)
      : -ERRNO.ENOENT;
    if (file instanceof PluginFile) return new ProbedFile(file, this.#memory);
    throw new Error(`Cannot open ${path}: errno ${-file}`);
  }

  /** Gives the device back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.device.dispose();
    this.#memory[Symbol.dispose]();
  }
}
