/**
 * A VM that runs a Linux program.
 *
 * @module
 */

import {
  AtomicFile,
  type ByteSource,
  type ImageSink,
  type ImageSummary,
  openTarget,
  parseEnd,
  readableImage,
  writeImage,
} from "../state/mod.ts";
import { Machine, VmError, type VmState } from "../vmm/mod.ts";
import { componentsOf } from "./components.ts";
import { CREATOR } from "./creator.ts";
import {
  Devices,
  type FrozenDevices,
  nameDevices,
  QUIESCE_TIMEOUT_MS,
} from "./devices.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Execution } from "./execution.ts";
import { findSaved } from "./find_saved.ts";
import { loadFresh } from "./fresh.ts";
import { Hardware } from "./hardware.ts";
import { Linux } from "./linux.ts";
import { offerOf } from "./preflight.ts";
import type { ProgramParts } from "./program_parts.ts";
import { CODE, sentBy } from "./signals/info.ts";
import { nominalTscRate } from "./vdso/tsc_source.ts";
import type {
  CommonOptions,
  FrozenVm,
  HoldOptions,
  PreparedVm,
  RestoreOptions,
  SaveOptions,
  StreamSaveOptions,
  VmEnd,
  VmOptions,
} from "./vm_options.ts";

/** Memory of a VM for which none was asked. */
const DEFAULT_MEMORY_BYTES = 1024 ** 3;

/**
 * A VM with a Linux program in it.
 *
 * @example Run a program, save it where it asks to be
 * ```ts ignore
 * import { Vm } from "@scratchvm/scratchvm";
 *
 * await using first = await Vm.create({
 *   program: "guest/build/app",
 *   onSave: async (vm) => {
 *     await vm.save("vm.img");
 *     return "stop";
 *   },
 * });
 * console.log(await first.run()); // { kind: "saved" }
 *
 * // Here, or in another process, now or later:
 * await using second = await Vm.restore("vm.img");
 * console.log(await second.run()); // { kind: "exited", code: 0 }
 * ```
 */
export class Vm {
  readonly #hardware: Hardware;
  readonly #machine: Machine;
  readonly #linux: Linux;
  readonly #options: CommonOptions;
  readonly #execution: Execution;

  private constructor(
    hardware: Hardware,
    parts: ProgramParts,
    options: CommonOptions,
  ) {
    this.#hardware = hardware;
    this.#options = options;
    const { onSave, onStop } = options;
    this.#linux = new Linux({
      ...parts,
      memory: hardware.memory,
      vcpu: hardware.vcpu,
      nominalTscRate: () => nominalTscRate(hardware.vcpu),
      ids: { uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 },
      cpuid: () => hardware.vcpu.getCpuid(),
    }, {
      strict: options.strict,
      warn: options.warn,
      console: options.console,
      onStop: onStop && ((signal) => onStop(this, signal)),
    });
    const dispatcher = new Dispatcher(this.#linux, {
      tracer: options.tracer,
      onSave: onSave && (() => this.#execution.answerSave(() => onSave(this))),
    });
    this.#machine = new Machine(
      hardware.vcpu,
      hardware.memory,
      dispatcher,
      parts.devices.bus,
    );
    this.#execution = new Execution(
      this.#machine,
      this.#linux,
      options.console,
    );
  }

  /**
   * Makes a VM and loads a program into it.
   *
   * @throws {KvmError} without KVM; {ProgramError} when the program cannot be
   * loaded; {VmError} when the options do not fit
   */
  static create(options: VmOptions): Promise<Vm> {
    return Promise.resolve().then(() => {
      using owned = new DisposableStack();
      const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
      const hardware = owned.use(Hardware.open(memoryBytes));
      const devices = Devices.make(
        nameDevices(options.devices ?? [], options.warn),
      );
      owned.defer(() => void devices[Symbol.asyncDispose]());
      const parts = loadFresh(hardware, options, devices);
      owned.use(parts.paths);
      owned.defer(() => parts.process.folder.close());
      const created = new Vm(hardware, parts, options);
      owned.move();
      return created;
    });
  }

  /**
   * Makes a VM from an image: paused where the saved one was.
   *
   * From a file, memory is mapped, and the file must stay as it is while the VM
   * lives; a small image is checked whole before, a large one while it runs.
   * From a stream, all is read and checked before.
   *
   * @param from the path of an image, a URL that it can be read from (see
   * docs/ends.md), or its bytes
   * @throws {ImageError} when the image is damaged or of another version;
   * {FilesError} when a file changed; {VmError} when this machine cannot run it;
   * {TransportError} when the URL gives no image; what the stream fails with
   */
  static async restore(
    from: string | URL | ReadableStream<Uint8Array>,
    options: RestoreOptions = {},
  ): Promise<Vm> {
    using prepared = await Vm.prepare(from, options);
    return prepared.finish();
  }

  /**
   * The first step of {@linkcode Vm.restore}: all but changing what is outside
   * of the VM. What is prepared can be finished, or given up without a trace.
   *
   * @throws as {@linkcode Vm.restore} does
   */
  static async prepare(
    from: string | URL | ReadableStream<Uint8Array> | ByteSource,
    options: RestoreOptions = {},
  ): Promise<PreparedVm> {
    const found = await findSaved(from, options);
    const { hardware, owned, source, image, digest } = found;
    const { files, ...parts } = found.parts;
    return {
      digest,
      finish() {
        using making = new DisposableStack();
        const fds = files.finish();
        making.defer(() => fds.closeAll());
        making.defer(() => parts.process.folder.close());
        parts.space.files.attach(fds);
        const vm = new Vm(hardware, { ...parts, fds }, options);
        making.use(vm.#machine);
        vm.#machine.adopt();
        making.move();
        owned.move();
        if (image) {
          source.move();
          vm.#execution.check(image);
        }
        return vm;
      },
      [Symbol.dispose]() {
        owned.dispose();
        source.dispose();
      },
    };
  }

  /** The state that the VM is in. */
  get state(): VmState {
    return this.#execution.state;
  }

  /** How it ended, when it has; not when it failed. */
  get end(): VmEnd | undefined {
    return this.#execution.end;
  }

  /** The signal that stopped its program; it goes on when SIGCONT comes. */
  get stopSignal(): number | undefined {
    return this.#linux.process.state.stopSignal ?? undefined;
  }

  /** Bytes of memory. */
  get memoryBytes(): number {
    return this.#hardware.memory.sizeBytes;
  }

  /** How often the program left the VM. */
  get exits(): number {
    return this.#machine.counters.exits;
  }

  /**
   * Starts the program or lets it go on.
   *
   * While it is being saved, it goes on once it has been.
   *
   * @returns how it ended; when it was paused, settles only after it went on
   * @throws {VmError} unless created or paused; {GuestError}; {ImageError} when
   * the image it came from turns out to be damaged; what `onSave` threw
   */
  run(): Promise<VmEnd> {
    return this.#execution.run();
  }

  /** Stops between two instructions; nothing to do unless it is running. */
  pause(): Promise<void> {
    return this.#execution.pause();
  }

  /**
   * Sends the program a signal, as another process would: it takes it as soon
   * as it runs, and travels with it until then.
   *
   * @param signal its number, 1 to 64 (signal(7))
   * @throws {VmError} when the VM has ended, or there is no such signal
   */
  signal(signal: number): void {
    if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
      throw new VmError(
        "VM_CONFIG",
        `Cannot send signal ${signal}: must be 1 to 64`,
      );
    }
    const { lifecycle } = this.#machine;
    lifecycle.require("signal", "created", "running", "paused");
    this.#linux.signals.send(
      sentBy(signal, CODE.user, 0, this.#linux.ids.uid),
    );
  }

  /** Whether a signal would end the program: it does nothing else about it. */
  endsBy(signal: number): boolean {
    return this.#linux.signals.endsBy(signal);
  }

  /**
   * Ends the program from outside, and gives up a save that is under way;
   * {@linkcode run}'s promise settles.
   */
  kill(): Promise<void> {
    return this.#execution.kill();
  }

  /**
   * The image of the VM as a stream, for any stage or sink of Web Streams. The
   * VM is paused from the first read to the end of the stream, or until that
   * is cancelled, and goes on after if it was running.
   *
   * What becomes of the bytes is not known here: pause the VM before, where it
   * must not go on until they are safe.
   */
  save(options?: StreamSaveOptions): ReadableStream<Uint8Array>;
  /**
   * Saves the VM to a file, or to any other end that a URL names. A running VM
   * is paused for it and goes on after, unless it is to stop.
   *
   * @param to where the image goes; an older one there is replaced when the new
   * one is complete. docs/ends.md has what can be named
   * @throws {ImageError} when it cannot be saved: the VM is as it was, and so is
   * an older image
   * @throws {TransportError} when the end does not take it, likewise
   * @throws {VmError} when it has ended
   */
  save(to: string | URL, options?: SaveOptions): Promise<ImageSummary>;
  save(
    to?: string | URL | StreamSaveOptions,
    options: SaveOptions = {},
  ): Promise<ImageSummary> | ReadableStream<Uint8Array> {
    if (typeof to === "string" || to instanceof URL) {
      return this.#saveTo(to, options);
    }
    const write = (sink: ImageSink, signal: AbortSignal) =>
      this.freeze((frozen) => frozen.write(sink, { ...to, signal }), {
        ...to,
        signal,
      });
    return readableImage(write, this.#execution.giveUp(to?.signal));
  }

  async #saveTo(
    to: string | URL,
    options: SaveOptions,
  ): Promise<ImageSummary> {
    const signal = this.#execution.giveUp(options.signal);
    return await this.freeze(async (frozen) => {
      const end = parseEnd(to);
      await using target = end.scheme === "file"
        ? new AtomicFile(end.path, options)
        : await openTarget(to, { ...options, signal });
      const summary = await frozen.write(target, options);
      // The last chance: from here on there is a new image.
      signal.throwIfAborted();
      await target.commit();
      if (options.stop) frozen.stop();
      return summary;
    }, { ...options, signal });
  }

  /**
   * Holds the VM still while `use` does something with its state: a running VM
   * is paused before and goes on after, unless it was stopped meanwhile. One
   * waits for the other.
   *
   * @throws {VmError} when the VM has ended; {ImageError} when the image it came
   * from turns out to be damaged; what `use` throws
   */
  freeze<T>(
    use: (frozen: FrozenVm) => Promise<T>,
    options: HoldOptions = {},
  ): Promise<T> {
    return this.#execution.hold(async () => {
      const devices = await this.#linux.devices.freeze({
        timeoutMs: options.quiesceTimeoutMs ?? QUIESCE_TIMEOUT_MS,
        signal: this.#execution.giveUp(options.signal),
      });
      return await use(this.#frozen(devices));
    }, options);
  }

  /** What can be done with it while it is held still. */
  #frozen(devices: FrozenDevices): FrozenVm {
    const closing = this.#execution.giveUp();
    const { console } = this.#options;
    const { fds } = this.#linux;
    const components = (options: StreamSaveOptions, signal: AbortSignal) =>
      componentsOf(this.#hardware, this.#linux, {
        ...options,
        devices,
        console,
        signal,
      });
    return {
      signal: closing,
      write: async (sink, options = {}) => {
        const signal = this.#execution.giveUp(options.signal);
        const image = { creator: CREATOR, signal };
        return await writeImage(components(options, signal), sink, image);
      },
      offer: (options = {}) => offerOf(components(options, closing)),
      lendLocks: () => fds.locks.lend(fds.files()),
      takeLocksBack: () => fds.locks.takeBack(fds.files()),
      stop: () => this.#execution.stopAsSaved(),
      pause: () => void this.pause(),
    };
  }

  /** Ends the program if it runs, and gives everything back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#execution[Symbol.asyncDispose]();
    this.#linux.closeFiles();
    await this.#linux.devices[Symbol.asyncDispose]();
    this.#linux.paths[Symbol.dispose]();
    this.#machine[Symbol.dispose]();
    this.#hardware[Symbol.dispose]();
  }
}
