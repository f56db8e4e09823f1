/**
 * A VM that runs a Linux program.
 *
 * @module
 */

import * as v from "valibot";
import {
  type Allowed,
  Clock,
  clockState,
  FdTable,
  FilesError,
  type FilesPolicy,
  FilesSaver,
  filesState,
  HostPaths,
  HostStream,
  O,
  pathOf,
  PendingIo,
  pendingState,
  restoreFiles,
  type ScriptConsole,
  ScriptStream,
} from "../devices/mod.ts";
import { Kvm, type KvmVcpu, type KvmVm } from "../kvm/mod.ts";
import {
  type Component,
  count,
  decodeState,
  type Dump,
  ImageError,
  ImageFile,
  type ImageSummary,
  saveImageFile,
  type Section,
  SectionSet,
  type StateSchema,
} from "../state/mod.ts";
import {
  bootVcpu,
  checkMemoryParts,
  checkSyscall,
  checkVcpuState,
  loadVcpu,
  Machine,
  mapImageFile,
  Memory,
  MemorySaver,
  memoryState,
  type PartInFile,
  probeSyscall,
  type SyscallBehaviour,
  vcpuCpuid,
  VcpuSaver,
  vcpuState,
  VmError,
  type VmState,
  writeBootPages,
} from "../vmm/mod.ts";
import { AddressSpace, addressSpaceState } from "./address_space.ts";
import { type ExitStatus, Linux, type SaveAnswer } from "./linux.ts";
import { loadProgram } from "./loader.ts";
import { Process, processState } from "./process.ts";
import type { Tracer } from "./trace.ts";
import { UserMemory } from "./user_memory.ts";
import { CREATOR } from "./creator.ts";

/** How a VM ended: as its program did, or saved, to go on elsewhere. */
export type VmEnd = ExitStatus | { readonly kind: "saved" };

/** What can be chosen of any VM. */
export interface CommonOptions {
  /** What the program may reach; default: the current folder, both ways. */
  readonly allow?: Partial<Allowed>;
  /** Standard input, output and error; default: those of this process. */
  readonly console?: ScriptConsole;
  /** Follows system calls. */
  readonly tracer?: Tracer;
  /** End the program at the first call that is not supported. */
  readonly strict?: boolean;
  /** Takes what the user should know; default: dropped. */
  readonly warn?: (message: string) => void;
  /**
   * Answers the program's SAVE(): called with the vCPU stopped, so that it can
   * be saved. The answer is what SAVE() returns in the program that goes on (0,
   * also where there is none, or a negative errno), or "stop". When it throws,
   * so does `run`, and the VM is paused: SAVE() gives EIO if it goes on. Absent:
   * SAVE() gives ENOSYS.
   */
  readonly onSave?: (vm: Vm) => Promise<SaveAnswer | void>;
}

/** What can be chosen of a new VM. */
export interface VmOptions extends CommonOptions {
  /** Path of the program. */
  readonly program: string;
  /** Its arguments, without its own name. */
  readonly args?: readonly string[];
  /** Its environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Memory, bytes: a multiple of 2 MiB; default 1 GiB. */
  readonly memoryBytes?: number;
  /** Its folder; default: the current one. */
  readonly cwd?: string;
}

/**
 * When the memory in an image is checked against its checksums: before the VM
 * is there, while it runs, or not at all. State is always checked before.
 */
export type VerifyPolicy = "first" | "background" | "none";

/** What can be chosen of a restored VM. */
export interface RestoreOptions extends CommonOptions {
  /**
   * When memory is checked; default "first" up to 8 MiB, "background" above. In
   * the background damage stops the VM; neither its end nor a save of it comes
   * before the check has.
   */
  readonly verify?: VerifyPolicy;
  /** What to do about files that are not as they were; default "check". */
  readonly files?: FilesPolicy;
}

/** What can be chosen of a save. */
export interface SaveOptions {
  /** Pack memory with zstd. */
  readonly compress?: boolean;
  /** Put the content of open files into the image. */
  readonly carryFiles?: boolean;
  /** End the VM once it is saved: the program goes on elsewhere. */
  readonly stop?: boolean;
  /** Gives up early; the old image stays. */
  readonly signal?: AbortSignal;
}

/** Memory of a VM for which none was asked. */
const DEFAULT_MEMORY_BYTES = 1024 ** 3;

/** Up to so many bytes of an image are checked before the VM runs. */
const VERIFY_FIRST_BYTES = 8 * 1024 * 1024;

/** How the machine's configuration travels. */
const machineState = {
  kind: "machine",
  version: 1,
  schema: v.object({
    memoryBytes: count,
    /** What `syscall` did at CPL3 where the VM was made. */
    syscall: v.picklist(["raises-to-cpl0", "stays-at-cpl3"]),
  }),
} satisfies StateSchema<unknown>;

/** The component that dumps the machine's configuration. */
class MachineSaver implements Component {
  readonly id = "machine";
  readonly kind: string = machineState.kind;
  readonly version: number = machineState.version;
  constructor(
    readonly memoryBytes: number,
    readonly syscall: SyscallBehaviour,
  ) {}

  dump(): Dump {
    const { memoryBytes, syscall } = this;
    return { answer: "payload", value: { memoryBytes, syscall } };
  }
}

/** What a VM owns of the kernel's, and has to give back. */
interface Hardware {
  readonly kvm: Kvm;
  readonly vm: KvmVm;
  readonly vcpu: KvmVcpu;
  readonly memory: Memory;
}

/** What is of a program, fresh or restored. */
interface ProgramParts {
  readonly space: AddressSpace;
  readonly process: Process;
  readonly fds: FdTable;
  readonly pending: PendingIo;
  readonly clock: Clock;
  readonly paths: HostPaths;
}

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
  /** Whether components are being dumped: nothing may run then. */
  #isDumping = false;
  /** Whether the program's own SAVE() is being answered. */
  #inSave = false;

  private constructor(
    hardware: Hardware,
    parts: ProgramParts,
    options: CommonOptions,
  ) {
    this.#hardware = hardware;
    this.#options = options;
    const { onSave } = options;
    this.#linux = new Linux({
      ...parts,
      memory: hardware.memory,
      run: hardware.vcpu.run,
      ids: { uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 },
    }, {
      tracer: options.tracer,
      strict: options.strict,
      warn: options.warn,
      onSave: onSave && (() => this.#answerSave(onSave)),
    });
    this.#machine = new Machine(hardware.vcpu, hardware.memory, this.#linux);
  }

  /**
   * Makes a VM and loads a program into it.
   *
   * @throws {KvmError} without KVM; {ProgramError} when the program cannot be
   * loaded; {VmError} when the options do not fit
   */
  static create(options: VmOptions): Promise<Vm> {
    return Promise.resolve().then(() => Vm.#create(options));
  }

  static #create(options: VmOptions): Vm {
    const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    using owned = new DisposableStack();
    const kvm = owned.use(openKvm());
    const vm = owned.use(kvm.createVm());
    const memory = owned.use(new Memory(memoryBytes));
    const vcpu = owned.use(vm.createVcpu(0));
    vcpu.setCpuid(vcpuCpuid(kvm, vcpu.id));
    writeBootPages(memory);
    const space = new AddressSpace(memory);
    const user = new UserMemory(memory, space);
    const argv = [options.program, ...options.args ?? []];
    const start = loadProgram(space, user, {
      path: options.program,
      argv,
      environment: Object.entries(options.environment ?? {}).map(
        ([name, value]) => `${name}=${value}`,
      ),
      uid: Deno.uid() ?? 0,
      gid: Deno.gid() ?? 0,
      hwcap: cpuidEdx1(vcpu),
    });
    memory.attach(vm);
    bootVcpu(vcpu, start.entry, start.stackPointer);
    const cwd = Deno.realPathSync(options.cwd ?? ".");
    const paths = owned.use(new HostPaths(allowed(options.allow)));
    const fds = new FdTable();
    standardStreams(fds, options.console);
    const executable = Deno.realPathSync(options.program);
    const process = new Process(
      Process.initial(executable, argv, pathOf(cwd), Deno.umask()),
    );
    const created = new Vm({ kvm, vm, vcpu, memory }, {
      space,
      process,
      fds,
      pending: new PendingIo(),
      clock: new Clock(),
      paths,
    }, options);
    owned.move();
    return created;
  }

  /**
   * Makes a VM from an image: paused where the saved one was.
   *
   * Memory is mapped from the file, which must stay as it is while the VM
   * lives; a small image is checked whole before, a large one while it runs.
   *
   * @throws {ImageError} when the image is damaged or of another version;
   * {FilesError} when a file changed; {VmError} when this machine cannot run it
   */
  static async restore(
    path: string,
    options: RestoreOptions = {},
  ): Promise<Vm> {
    using owned = new DisposableStack();
    const image = owned.use(await ImageFile.open(path));
    const isSmall = image.summary.dataBytes <= VERIFY_FIRST_BYTES;
    const verify = options.verify ?? (isSmall ? "first" : "background");
    if (verify === "first") await image.verifyData();
    let vm: Vm;
    try {
      vm = Vm.#restore(image, options);
    } catch (error) {
      throw blameImage(error);
    }
    if (verify === "background") {
      owned.move();
      vm.#checkWhileRunning(image);
    }
    return vm;
  }

  static #restore(image: ImageFile, options: RestoreOptions): Vm {
    const sections = new SectionSet<Section>(image.sections);
    const take = <S>(schema: StateSchema<S>): S =>
      decodeState(schema, sections.take(schema.kind));
    // All that can be wrong is found before anything is made.
    const config = take(machineState);
    const vcpuLoaded = take(vcpuState);
    const parts = sections.takeParts(memoryState.kind).map(
      (section): PartInFile => ({
        state: decodeState(memoryState, section),
        dataOffset: section.dataOffset,
        dataBytes: section.dataBytes,
        read: () => image.readData(section),
      }),
    );
    const space = take(addressSpaceState);
    const process = take(processState);
    const clock = take(clockState);
    const pending = take(pendingState);
    const files = sections.takeParts(filesState.kind).map((section) => ({
      state: decodeState(filesState, section),
      data: () => image.readData(section),
    }));
    sections.finish();
    const memoryBytes = checkMemoryParts(parts);
    checkMachine(config, memoryBytes);

    using owned = new DisposableStack();
    const kvm = owned.use(openKvm());
    const vm = owned.use(kvm.createVm());
    const vcpu = owned.use(vm.createVcpu(0));
    vcpu.setCpuid(vcpuCpuid(kvm, vcpu.id));
    checkVcpuState(vcpu, vcpuLoaded);
    checkSyscall(() => probeSyscall(kvm), config.syscall, vcpuLoaded);
    const paths = owned.use(new HostPaths(allowed(options.allow)));
    const fds = restoreFiles(files, {
      paths,
      console: options.console,
      policy: options.files ?? "check",
    });
    owned.defer(() => fds.closeAll());
    const memory = owned.use(new Memory(memoryBytes));
    mapImageFile(memory, parts, image);
    memory.attach(vm);
    loadVcpu(vcpu, kvm, vcpuLoaded);
    const restored = new Vm({ kvm, vm, vcpu, memory }, {
      space: new AddressSpace(memory, space),
      process: new Process(process),
      fds,
      pending: new PendingIo(pending),
      clock: new Clock(clock),
      paths,
    }, options);
    restored.#linux.clock.stop();
    restored.#machine.adopt();
    owned.move();
    return restored;
  }

  /** Checks the rest of a large image; a damaged one stops the VM. */
  #checkWhileRunning(image: ImageFile): void {
    this.#checking = image.verifyData({ signal: this.#closing.signal })
      .catch((error) => {
        if (this.#closing.signal.aborted) return;
        this.#failure ??= error;
        // Not awaited: what runs may be waiting for this check.
        void this.pause();
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
   * @returns how it ended; when it was paused, settles only after it went on
   * @throws {VmError} unless created or paused, or while it is being saved;
   * {GuestError}; {ImageError} when the image it came from turns out to be
   * damaged; what `onSave` threw
   */
  run(): Promise<VmEnd> {
    try {
      if (this.#isDumping) {
        throw new VmError("VM_STATE", "Cannot run the VM: it is being saved");
      }
      this.#resume();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#ended.promise.then((end) => end);
  }

  #resume(): void {
    this.#machine.lifecycle.require("run", "created", "paused");
    if (this.#failure !== undefined) throw this.#failure;
    this.#linux.clock.start();
    this.#machine.run().then(
      () => this.#onSettled(),
      (error) => this.#onFailed(error),
    );
  }

  #onSettled(): void {
    if (this.#failure !== undefined) return this.#onFailed(this.#failure);
    this.#linux.clock.stop();
    if (this.end) void this.#resolveEnded(this.end);
  }

  async #resolveEnded(end: VmEnd): Promise<void> {
    await this.#checking;
    if (this.#failure === undefined) this.#ended.resolve(end);
    else this.#onFailed(this.#failure);
  }

  #onFailed(error: unknown): void {
    this.#linux.clock.stop();
    this.#ended.promise.catch(() => {}); // whoever ran it has one of their own
    this.#ended.reject(error);
    // It may go on after a save that failed, with a promise of its own.
    if (this.state === "paused" && this.#failure === undefined) {
      this.#ended = Promise.withResolvers();
    } else if (this.state !== "stopped") {
      this.#machine.lifecycle.enter("stopped");
    }
  }

  /** Stops between two instructions; nothing to do unless it is running. */
  async pause(): Promise<void> {
    // From within onSave the vCPU is stopped already, and stays so afterwards.
    if (this.#inSave) return this.#machine.requestPause();
    await this.#machine.pause();
    if (this.state === "paused") this.#linux.clock.stop();
  }

  /**
   * Ends the program from outside, and gives up a save that is under way;
   * {@linkcode run}'s promise settles.
   */
  async kill(): Promise<void> {
    this.#closing.abort();
    await this.pause();
    if (this.state === "stopped") return;
    this.#linux.terminate();
    this.#machine.lifecycle.enter("stopped");
    this.#onSettled();
  }

  /**
   * Saves the VM to a file. A running VM is paused for it and goes on after,
   * unless it is to stop.
   *
   * @param path the image; an older one there is replaced when the new one is
   * complete
   * @throws {ImageError} when it cannot be saved: the VM is as it was, and so is
   * an older image
   * @throws {VmError} when it has not begun or has ended
   */
  save(path: string, options: SaveOptions = {}): Promise<ImageSummary> {
    const saved = this.#saving.then(() => this.#save(path, options));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  async #save(path: string, options: SaveOptions): Promise<ImageSummary> {
    const { lifecycle } = this.#machine;
    lifecycle.require("save", "created", "running", "paused");
    // What is saved must not be damage that a new checksum makes good.
    if (this.#checking) await this.#checking;
    if (this.#failure !== undefined) throw this.#failure;
    const wasRunning = this.state === "running" && !this.#inSave;
    if (wasRunning) {
      await this.pause();
      // The program may have ended meanwhile.
      lifecycle.require("save", "paused");
    }
    this.#isDumping = true;
    try {
      const summary = await this.#saveNow(path, options);
      if (options.stop) this.#stopAsSaved();
      return summary;
    } finally {
      this.#isDumping = false;
      if (wasRunning && !this.end) this.#resume();
    }
  }

  #stopAsSaved(): void {
    if (this.end) return;
    this.#linux.savedAndStopped = true;
    this.#machine.lifecycle.enter("stopped");
    this.#onSettled();
  }

  async #saveNow(path: string, options: SaveOptions): Promise<ImageSummary> {
    this.#machine.settle();
    const { signal } = options;
    const closing = this.#closing.signal;
    return await saveImageFile(path, this.#components(options), {
      creator: CREATOR,
      signal: signal ? AbortSignal.any([signal, closing]) : closing,
    });
  }

  /** Every component, in the order of an image. */
  #components(options: SaveOptions): Component[] {
    const { kvm, vcpu, memory } = this.#hardware;
    const linux = this.#linux;
    return [
      new MachineSaver(memory.sizeBytes, probeSyscall(kvm)),
      new VcpuSaver(vcpu, kvm.msrIndexList()),
      linux.space,
      linux.process,
      linux.clock,
      linux.pending,
      new FilesSaver(linux.fds, this.#options.console, options.carryFiles),
      new MemorySaver(memory, linux.space.blocks, options.compress),
    ];
  }

  async #answerSave(
    onSave: NonNullable<CommonOptions["onSave"]>,
  ): Promise<SaveAnswer> {
    this.#linux.clock.stop();
    this.#inSave = true;
    try {
      return await onSave(this) ?? 0;
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
    await this.#saving;
    await this.kill();
    await this.#checking;
    this.#linux.fds.closeAll();
    this.#linux.paths[Symbol.dispose]();
    this.#machine[Symbol.dispose]();
    const { kvm, vm, vcpu, memory } = this.#hardware;
    vcpu[Symbol.dispose]();
    vm[Symbol.dispose]();
    memory[Symbol.dispose]();
    kvm[Symbol.dispose]();
  }
}

/** Opens KVM, with what a VM needs of it. */
function openKvm(): Kvm {
  const kvm = Kvm.open();
  try {
    kvm.requireCapability("KVM_CAP_USER_MEMORY");
    kvm.requireCapability("KVM_CAP_SYNC_REGS");
    kvm.requireCapability("KVM_CAP_IMMEDIATE_EXIT");
    kvm.requireCapability("KVM_CAP_XSAVE");
    kvm.requireCapability("KVM_CAP_XCRS");
    return kvm;
  } catch (error) {
    kvm[Symbol.dispose]();
    throw error;
  }
}

/** What the program may reach: the current folder, where nothing is said. */
function allowed(allow: Partial<Allowed> = {}): Allowed {
  return { read: allow.read ?? ["."], write: allow.write ?? ["."] };
}

function standardStreams(fds: FdTable, script?: ScriptConsole): void {
  for (const stream of [0, 1, 2]) {
    const file = script
      ? new ScriptStream(script, stream)
      : new HostStream(stream, O.readWrite | O.largeFile);
    fds.installAt(stream, file, false);
  }
}

/** CPUID leaf 1, EDX: what Linux gives programs as AT_HWCAP. */
function cpuidEdx1(vcpu: KvmVcpu): number {
  const view = new DataView(vcpu.getCpuid().buffer);
  for (let at = 8; at < view.byteLength; at += 40) {
    if (view.getUint32(at, true) === 1) return view.getUint32(at + 24, true);
  }
  return 0;
}

/** State that does not make sense is the image's fault, whoever found it. */
function blameImage(error: unknown): unknown {
  if (!(error instanceof FilesError || error instanceof VmError)) return error;
  const { code, message } = error;
  const isState = code === "FILES_STATE" || code === "VM_MEMORY" ||
    code === "VM_CONFIG";
  return isState
    ? new ImageError("IMAGE_STATE", message, { cause: error })
    : error;
}

/** Refuses an image that this machine has no room for. */
function checkMachine(
  config: v.InferOutput<typeof machineState.schema>,
  memoryBytes: number,
): void {
  if (config.memoryBytes !== memoryBytes) {
    throw new VmError(
      "VM_MEMORY",
      `Cannot restore "memory": it is of ${memoryBytes} bytes, the machine has ${config.memoryBytes}`,
    );
  }
  const { total } = Deno.systemMemoryInfo();
  if (memoryBytes > total) {
    throw new VmError(
      "VM_INCOMPATIBLE",
      `Cannot restore a VM with ${memoryBytes} bytes of memory: this machine has ${total}`,
    );
  }
}
