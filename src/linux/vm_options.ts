/**
 * What can be chosen of a VM, and how it ends.
 *
 * @module
 */

import type {
  Allowed,
  DeviceSpec,
  FilesPolicy,
  ScriptConsole,
} from "../devices/mod.ts";
import type { EndOptions, ImageSink, ImageSummary } from "../state/mod.ts";
import type { SaveAnswer } from "./dispatcher.ts";
import type { ExitStatus } from "./linux.ts";
import type { Offer } from "./preflight.ts";
import type { Tracer } from "./trace.ts";
import type { Vm } from "./vm.ts";

/** How a VM ended: as its program did, or saved, to go on elsewhere. */
export type VmEnd = ExitStatus | { readonly kind: "saved" };

/** What can be chosen of any VM. */
export interface CommonOptions {
  /**
   * What the program may reach, as paths in its root. Default: to read, what
   * belongs to the system (programs, libraries: "@system" stands for it), and
   * the current folder; to write, the current folder. The program's own file it
   * may always read.
   */
  readonly allow?: Partial<Allowed>;
  /**
   * The folder that is `/` for the program: its own paths, those of `allow`,
   * `program` and `cwd`, and what links lead to are found in it. Default: the
   * host's own. The current folder is then `/`, unless this process's is inside;
   * `/` may be read by default, and not written.
   */
  readonly root?: string;
  /** Standard input, output and error; default: those of this process. */
  readonly console?: ScriptConsole;
  /**
   * Devices beside those that every VM has. At a restore: those of the image
   * that it may not bring back by itself, and replacements. One with a name is
   * the device of that name, one without the next of its kind.
   */
  readonly devices?: readonly DeviceSpec[];
  /** Follows system calls. */
  readonly tracer?: Tracer;
  /** End the program at the first call that is not supported. */
  readonly strict?: boolean;
  /** Takes what the user should know; default: dropped. */
  readonly warn?: (message: string) => void;
  /**
   * Called when a signal has stopped the program (SIGSTOP, SIGTSTP, SIGTTIN,
   * SIGTTOU), by its own doing or not: it goes on when {@linkcode Vm.signal} sends
   * it SIGCONT. Default: `warn` is told.
   */
  readonly onStop?: (vm: Vm, signal: number) => void;
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
  /**
   * Path of the program, which may be a script that begins with `#!`. A name
   * without a slash is looked for in the folders of its environment's PATH, then
   * in the current folder.
   */
  readonly program: string;
  /** Its arguments, without its own name. */
  readonly args?: readonly string[];
  /** Its environment; default: empty, nothing of this process's. */
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
export interface RestoreOptions extends CommonOptions, EndOptions {
  /**
   * When memory is checked; default "first" up to 8 MiB, "background" above. In
   * the background damage stops the VM; neither its end nor a save of it comes
   * before the check has.
   */
  readonly verify?: VerifyPolicy;
  /** What to do about files that are not as they were; default "check". */
  readonly files?: FilesPolicy;
  /**
   * Most memory that the VM may have, bytes; its files without a name come back
   * in memory too, and may have as much again. Default: as much as this machine
   * has.
   */
  readonly maxMemoryBytes?: number;
  /** Gives up before there is a VM. */
  readonly signal?: AbortSignal;
}

/** A VM that could be restored: all was found as it must be. */
export interface PreparedVm extends Disposable {
  /**
   * The image's digest, hex digits: what was read has it. Absent for one in a
   * file, of which not all need have been read.
   */
  readonly digest?: string;
  /**
   * Makes the changes to files that were chosen, and gives the VM, paused where
   * the saved one was. To be called once at most.
   *
   * @throws {FilesError} when the host refuses
   */
  finish(): Vm;
}

/** A VM that is held still, for whoever copies its state. */
export interface FrozenVm {
  /** Aborts when the VM is ended from outside: whatever is under way is moot. */
  readonly signal: AbortSignal;
  /**
   * Writes its image, as often as is asked for.
   *
   * @throws {ImageError} when it cannot be saved; what the sink throws; the
   * signal's reason
   */
  write(sink: ImageSink, options?: StreamSaveOptions): Promise<ImageSummary>;
  /**
   * What another VMM must know to say whether it can take it.
   *
   * @param options those that it is written with: what is carried need not be
   * there
   */
  offer(options?: StreamSaveOptions): Promise<Offer>;
  /**
   * Lets go of the program's locks on files, so that another VMM can take them;
   * an image has them even so. They are taken again when the VM goes on here.
   */
  lendLocks(): void;
  /**
   * Takes them again.
   *
   * @throws {FilesError} when another took one meanwhile
   */
  takeLocksBack(): void;
  /** Ends the VM here, as saved: the program goes on elsewhere. */
  stop(): void;
  /** Leaves the VM paused: it goes on only when it is run again. */
  pause(): void;
}

/** What can be chosen of holding a VM still. */
export interface HoldOptions {
  /**
   * How long a device may take to be ready for it, ms; default 5000. It then
   * fails, naming the device, and the VM goes on.
   */
  readonly quiesceTimeoutMs?: number;
  /** Gives up early: the VM goes on, an old image stays. */
  readonly signal?: AbortSignal;
}

/** What can be chosen of an image that a script takes as a stream. */
export interface StreamSaveOptions extends HoldOptions {
  /** Pack memory with zstd. */
  readonly compress?: boolean;
  /** Put the content of open files into the image. */
  readonly carryFiles?: boolean;
}

/** What can be chosen of a save. */
export interface SaveOptions extends StreamSaveOptions, EndOptions {
  /** End the VM once it is saved: the program goes on elsewhere. */
  readonly stop?: boolean;
}
