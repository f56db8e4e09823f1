/**
 * A device without a VM: made of its definition, its files used directly.
 *
 * @module
 */

import {
  ConfigValues,
  type DeviceCall,
  type DeviceHandle,
  type DeviceInstance,
  type DeviceSpec,
  ERRNO,
  type Part,
  type SavedPart,
} from "../../mod.ts";

/** A file of a {@linkcode BareDevice}, with calls that wait. */
export class BareFile {
  /** What the device gave. */
  readonly handle: DeviceHandle;
  readonly #device: BareDevice;
  readonly #closing: AbortController;

  /** @param closing aborts when it is closed */
  constructor(
    device: BareDevice,
    handle: DeviceHandle,
    closing: AbortController,
  ) {
    this.#device = device;
    this.handle = handle;
    this.#closing = closing;
  }

  /** Reads at most so many bytes, as text; a negative errno otherwise. */
  async read(lengthBytes = 65536): Promise<string | number> {
    const given = await this.#device.wait(() =>
      this.handle.read!(lengthBytes, this.#call())
    );
    return typeof given === "number" ? given : new TextDecoder().decode(given);
  }

  /** Reads to the end; a negative errno is shown behind what came before. */
  async readAll(): Promise<string> {
    let all = "";
    for (;;) {
      const piece = await this.read();
      if (typeof piece === "number") return `${all}(${piece})`;
      if (piece === "") return all;
      all += piece;
    }
  }

  /** Writes; 0 when all was taken, or a negative errno. */
  async write(data: string | Uint8Array): Promise<number> {
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : data;
    try {
      const taken = await this.#device.wait(() =>
        this.handle.write!(bytes.slice(), this.#call())
      );
      return taken ?? 0;
    } catch (error) {
      const { errno } = error as { errno?: number };
      if (errno === undefined) throw error;
      return -errno;
    }
  }

  /** Makes a request; `data` is in and out. */
  ioctl(request: number, data: Uint8Array): number {
    const call = { ...this.#call(), argument: 0n };
    return this.handle.ioctl!(request, data, call) as number;
  }

  close(): void {
    this.#closing.abort();
    this.handle.close?.();
  }

  #call(): DeviceCall {
    const { signal } = this.#closing;
    return { offset: undefined, nonBlock: false, isAgain: false, signal };
  }
}

/** A device that is in no VM. */
export class BareDevice implements AsyncDisposable {
  /** What its definition made. */
  readonly instance: DeviceInstance;
  readonly #ending = new AbortController();
  readonly #files = new Set<BareFile>();
  #woken = Promise.withResolvers<void>();

  /** @param saved what {@linkcode save} of another gave */
  constructor(
    { definition, config = {} }: DeviceSpec,
    saved: readonly SavedPart[] = [],
  ) {
    const values = Object.entries(config).map(([k, v]) => [k, String(v)]);
    this.instance = definition.create({
      id: "bare",
      config: definition.config?.(
        new ConfigValues("bare", Object.fromEntries(values)),
      ),
      signal: this.#ending.signal,
      savedParts: saved,
      warn() {},
      wake: () => this.#wake(),
    }, saved[0]?.value);
  }

  #wake(): void {
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
  }

  /** Makes a call again until it does not have to wait. */
  async wait<T>(call: () => T | Promise<T>): Promise<T> {
    for (;;) {
      const woken = this.#woken.promise;
      const given = await call();
      if (given !== -ERRNO.EAGAIN) return given;
      await woken;
    }
  }

  /** Opens its only file. @param saved what `dump` of the handle gave */
  open(saved?: unknown): BareFile {
    const [[path, open]] = Object.entries(this.instance.files!);
    const closing = new AbortController();
    const { signal } = closing;
    const handle = open({
      path,
      flags: 2,
      isAgain: saved !== undefined,
      signal,
      wake: () => this.#wake(),
    }, saved);
    if (typeof handle === "number") throw new Error(`errno ${-handle}`);
    const file = new BareFile(this, handle, closing);
    this.#files.add(file);
    return file;
  }

  /** Its state, as parts with their bytes. */
  async save(): Promise<SavedPart[]> {
    const given = await this.instance.dump();
    const { answer, parts = [] } = Object(given);
    const none = new Uint8Array();
    if (answer !== "many") {
      return [{ value: structuredClone(given), data: none }];
    }
    return [...parts].map(({ value, data = [] }: Part) => {
      const bytes = new Uint8Array(data.reduce((n, b) => n + b.length, 0));
      let at = 0;
      for (const piece of data) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return { value: structuredClone(value), data: bytes };
    });
  }

  /** As a VM that is killed does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    for (const file of this.#files) file.close();
    await this.instance.dispose?.();
  }
}
