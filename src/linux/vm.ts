/**
 * A VM that runs a Linux program.
 *
 * @module
 */

import { FilesSaver, PendingSaver, terminalOf } from "../devices/mod.ts";
import {
  AtomicFile,
  type ByteSource,
  type Component,
  type ImageFile,
  type ImageSink,
  type ImageSummary,
  openOrigin,
  openTarget,
  parseEnd,
  readableImage,
  writeImage,
} from "../state/mod.ts";
import {
  Machine,
  MemorySaver,
  probeSyscall,
  VcpuSaver,
  VmError,
  type VmState,
} from "../vmm/mod.ts";
import { CREATOR } from "./creator.ts";
import { loadFresh } from "./fresh.ts";
import {
  Devices,
  type FrozenDevices,
  nameDevices,
  QUIESCE_TIMEOUT_MS,
  tooLate,
} from "./devices.ts";
import { Dispatcher, type SaveAnswer } from "./dispatcher.ts";
import { Hardware } from "./hardware.ts";
import { Linux } from "./linux.ts";
import { MachineSaver } from "./machine_state.ts";
import type { ProgramParts } from "./program_parts.ts";
import { findSaved } from "./find_saved.ts";
import { offerOf } from "./preflight.ts";
import { CODE, sentBy } from "./signals/info.ts";
import { settlesWithin } from "./time_limit.ts";
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
  /** The image that memory is mapped from, while it is checked. */
  #checking: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #ended = Promise.withResolvers<VmEnd>();
  /** What the check of the image found, when it found damage. */
  #failure: unknown;
  /** The last save; one waits for the other. */
  #saving: Promise<unknown> = Promise.resolve();
  /** Whether components are being dumped: nothing runs then. */
  #isDumping = false;
  /** Whether it is to run once nothing is being dumped any more. */
  #wantsRunning = false;
  /** Whether the program's own SAVE() is being answered. */
  #inSave = false;
  /** Whether it goes on elsewhere, and must never go on here. */
  #hasMoved = false;

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
      onSave: onSave && (() => this.#answerSave(onSave)),
    });
    this.#machine = new Machine(
      hardware.vcpu,
      hardware.memory,
      dispatcher,
      parts.devices.bus,
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
    if (typeof from === "string" || from instanceof URL) {
      const end = parseEnd(from);
      if (end.scheme !== "file") {
        await using origin = await openOrigin(from, options);
        return await Vm.prepare(origin.readable, options);
      }
      from = end.path;
    }
    const found = await findSaved(from, options);
    const { hardware, owned, source, image, digest } = found;
    const { files, ...parts } = found.parts;
    return {
      digest,
      finish() {
        using making = new DisposableStack();
        const fds = files.finish();
        making.defer(() => fds.closeAll());
        parts.space.files.attach(fds);
        const vm = new Vm(hardware, { ...parts, fds }, options);
        making.use(vm.#machine);
        vm.#machine.adopt();
        making.move();
        owned.move();
        if (image) {
          source.move();
          vm.#checkWhileRunning(image);
        }
        return vm;
      },
      [Symbol.dispose]() {
        owned.dispose();
        source.dispose();
      },
    };
  }

  /** Checks the rest of a large image; a damaged one stops the VM. */
  #checkWhileRunning(image: ImageFile): void {
    this.#checking = image.verifyData({ signal: this.#closing.signal })
      .catch((error) => {
        if (this.#closing.signal.aborted) return;
        this.#failure ??= error;
        // Not awaited: what runs may be waiting for this check.
        void this.#pauseMachine();
      })
      .finally(() => image[Symbol.dispose]());
  }

  /** The state that the VM is in. */
  get state(): VmState {
    return this.#machine.lifecycle.state;
  }

  /** How it ended, when it has; not when it failed. */
  get end(): VmEnd | undefined {
    if (this.state !== "stopped") return undefined;
    return this.#linux.savedAndStopped
      ? { kind: "saved" }
      : this.#linux.exitStatus;
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
    // Before it runs: it may be paused again before this returns.
    this.#wantsRunning = true;
    try {
      if (!this.#isDumping) this.#resume();
    } catch (error) {
      this.#wantsRunning = this.state === "running";
      return Promise.reject(error);
    }
    return this.#ended.promise.then((end) => end);
  }

  #resume(): void {
    this.#machine.lifecycle.require("run", "created", "paused");
    if (this.#failure !== undefined) throw this.#failure;
    const { fds } = this.#linux;
    fds.locks.takeBack(fds.files());
    this.#linux.clock.start();
    terminalOf(this.#options.console)?.enter();
    this.#machine.run().then(
      () => this.#onSettled(),
      (error) => this.#onFailed(error),
    );
  }

  #onSettled(): void {
    this.#leaveTerminal();
    if (this.#failure !== undefined) return this.#onFailed(this.#failure);
    this.#linux.clock.stop();
    if (!this.end) return;
    this.#linux.devices.end();
    // Others may wait for its files: for a lock, or for the end of a pipe. A save
    // that is given up for a kill may read them still.
    const isRead = this.#isDumping && this.end.kind !== "saved";
    if (!isRead) this.#linux.fds.closeAll();
    void this.#resolveEnded(this.end);
  }

  async #resolveEnded(end: VmEnd): Promise<void> {
    await this.#checking;
    if (this.#failure === undefined) this.#ended.resolve(end);
    else this.#onFailed(this.#failure);
  }

  #onFailed(error: unknown): void {
    this.#linux.clock.stop();
    this.#wantsRunning = false;
    this.#ended.promise.catch(() => {}); // whoever ran it has one of their own
    this.#ended.reject(error);
    // It may go on after a save that failed, with a promise of its own.
    if (this.state === "paused" && this.#failure === undefined) {
      this.#ended = Promise.withResolvers();
    } else if (this.state !== "stopped") {
      this.#machine.lifecycle.enter("stopped");
    }
    if (this.state === "stopped") this.#linux.devices.end();
    this.#leaveTerminal();
  }

  /** Gives the terminal back as it was, until the program runs again. */
  #leaveTerminal(): void {
    const isOver = this.state === "stopped";
    terminalOf(this.#options.console)?.leave(isOver);
  }

  /** Stops between two instructions; nothing to do unless it is running. */
  async pause(): Promise<void> {
    this.#wantsRunning = false;
    await this.#pauseMachine();
  }

  async #pauseMachine(): Promise<void> {
    // From within onSave the vCPU is stopped already, and stays so afterwards.
    if (this.#inSave) return this.#machine.requestPause();
    await this.#machine.pause();
    if (this.state === "paused") this.#linux.clock.stop();
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
  async kill(): Promise<void> {
    this.#closing.abort();
    this.#machine.abandonDevices();
    // It may have been run again meanwhile.
    do await this.pause(); while (this.state === "running" && !this.#inSave);
    if (this.state === "stopped") return;
    this.#linux.terminate();
    this.#machine.lifecycle.enter("stopped");
    this.#onSettled();
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
    return readableImage(write, this.#giveUp(to?.signal));
  }

  async #saveTo(
    to: string | URL,
    options: SaveOptions,
  ): Promise<ImageSummary> {
    const signal = this.#giveUp(options.signal);
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
    const done = this.#saving.then(() => this.#freeze(use, options));
    this.#saving = done.catch(() => {});
    return done;
  }

  async #freeze<T>(
    use: (frozen: FrozenVm) => Promise<T>,
    options: HoldOptions,
  ): Promise<T> {
    const { lifecycle } = this.#machine;
    lifecycle.require("save", "created", "running", "paused");
    // What is saved must not be damage that a new checksum makes good.
    if (this.#checking) await this.#checking;
    if (this.#failure !== undefined) throw this.#failure;
    // Within onSave it is not stopped yet: a second copy would run elsewhere.
    if (this.#hasMoved) {
      throw new VmError(
        "VM_STATE",
        "Cannot save the VM: it was saved already, to go on elsewhere",
      );
    }
    this.#isDumping = true;
    try {
      if (this.state === "running" && !this.#inSave) {
        await this.#pauseToSave(options);
        // The program may have ended meanwhile.
        lifecycle.require("save", "paused");
      }
      this.#machine.settle();
      const devices = await this.#linux.devices.freeze({
        timeoutMs: options.quiesceTimeoutMs ?? QUIESCE_TIMEOUT_MS,
        signal: this.#giveUp(options.signal),
      });
      const { fds } = this.#linux;
      return await use({
        signal: this.#closing.signal,
        write: async (sink, options = {}) => {
          const signal = this.#giveUp(options.signal);
          const components = this.#components(options, devices, signal);
          const image = { creator: CREATOR, signal };
          return await writeImage(components, sink, image);
        },
        offer: (options = {}) =>
          offerOf(this.#components(options, devices, this.#closing.signal)),
        lendLocks: () => fds.locks.lend(fds.files()),
        takeLocksBack: () => fds.locks.takeBack(fds.files()),
        stop: () => this.#stopAsSaved(),
        pause: () => void this.pause(),
      });
    } finally {
      this.#isDumping = false;
      const stands = this.state === "created" || this.state === "paused";
      if (this.#wantsRunning && stands && this.#failure === undefined) {
        this.#resume();
      }
    }
  }

  /** Pauses, but for a device that never answers. */
  async #pauseToSave(
    { quiesceTimeoutMs = QUIESCE_TIMEOUT_MS, signal }: HoldOptions,
  ): Promise<void> {
    const paused = this.#pauseMachine();
    let device: string | undefined;
    try {
      const either = this.#giveUp(signal);
      if (await settlesWithin(paused, quiesceTimeoutMs, either)) return;
      device = this.#machine.awaitedDevice;
      if (device === undefined) return await paused;
      throw tooLate(device, quiesceTimeoutMs);
    } finally {
      if (this.state === "running") {
        paused.catch(() => {});
        // Unless somebody else wants it paused, it goes on.
        const goesOn = this.#wantsRunning && this.#failure === undefined;
        if (goesOn) this.#machine.cancelPause();
      }
    }
  }

  /** Aborts when the VM is ended, or when `signal` does. */
  #giveUp(signal?: AbortSignal): AbortSignal {
    const closing = this.#closing.signal;
    return signal ? AbortSignal.any([signal, closing]) : closing;
  }

  #stopAsSaved(): void {
    if (this.end) return;
    this.#hasMoved = true;
    // The loop that awaits onSave stops when it is told so.
    if (this.#inSave) return;
    this.#linux.savedAndStopped = true;
    this.#machine.lifecycle.enter("stopped");
    this.#onSettled();
  }

  /** Every component, in the order of an image. */
  #components(
    options: StreamSaveOptions,
    devices: FrozenDevices,
    signal: AbortSignal,
  ): Component[] {
    const { kvm, vcpu, memory } = this.#hardware;
    const linux = this.#linux;
    return [
      new MachineSaver(memory.sizeBytes, probeSyscall(kvm)),
      new VcpuSaver(vcpu, kvm.msrIndexList()),
      linux.space,
      linux.process,
      linux.clock,
      new PendingSaver(() => linux.pending()),
      new FilesSaver(linux.fds, this.#options.console, {
        carry: options.carryFiles,
        signal,
        plugins: devices.files,
        root: linux.paths.root,
      }),
      ...devices.components,
      new MemorySaver(memory, linux.space.blocks, options.compress),
    ];
  }

  async #answerSave(
    onSave: NonNullable<CommonOptions["onSave"]>,
  ): Promise<SaveAnswer> {
    this.#linux.clock.stop();
    this.#inSave = true;
    try {
      const answer = await onSave(this) ?? 0;
      return this.#hasMoved ? "stop" : answer;
    } catch (error) {
      if (!this.#hasMoved) throw error;
      // It must not go on here, whatever went wrong after it had moved.
      this.#failure ??= error;
      return "stop";
    } finally {
      // Saves that others began meanwhile read memory, too.
      for (let last; last !== this.#saving;) await (last = this.#saving);
      this.#inSave = false;
      this.#linux.clock.start();
    }
  }

  /** Ends the program if it runs, and gives everything back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#machine.abandonDevices();
    await this.#saving;
    await this.kill();
    await this.#checking;
    this.#linux.fds.closeAll();
    await this.#linux.devices[Symbol.asyncDispose]();
    this.#linux.paths[Symbol.dispose]();
    this.#machine[Symbol.dispose]();
    this.#hardware[Symbol.dispose]();
  }
}
