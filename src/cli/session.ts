/**
 * Running a VM for a command: saves, signals, and its end.
 *
 * @module
 */

import { constants } from "node:os";
import { parse } from "node:path";
import {
  type CommonOptions,
  migrate,
  MigrationError,
  SIGNAL,
  signalName,
  type Vm,
} from "../../mod.ts";
import type { SharedOptions } from "./options.ts";
import { report, STATUS, statusOf } from "./report.ts";
import type { Signals } from "./signals.ts";
import { printable, tell } from "./text.ts";

/** Tells the user something. */
export function say(message: string): void {
  tell(`vm: ${printable(message)}`);
}

/** What SAVE() fails with: why the image could not be written (errno.h). */
function errnoOf(error: unknown): number {
  for (let e = error; e instanceof Error; e = e.cause) {
    const { code } = e as { code?: string };
    const number = (constants.errno as Record<string, number>)[code ?? ""] ??
      // Deno has no code for some: "File too large (os error 27)".
      /\(os error (\d+)\)/.exec(e.message)?.[1];
    if (number !== undefined) return Number(number);
  }
  return constants.errno.EIO;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Where a program's image goes when the move of it is uncertain. */
const KEEP = "vm.img";

/** `path`, or the next beside it that nothing has: an image of another stays. */
function freeName(path: string): string {
  const { name, ext } = parse(path);
  for (let n = 2, free = path;; n++) {
    try {
      Deno.lstatSync(free);
    } catch {
      return free; // when it is there and cannot be seen, saving says why
    }
    free = `${name}-${n}${ext}`;
  }
}

/** Saves of one program, as the command line says. */
export class Saves {
  /** What was chosen. */
  readonly shared: SharedOptions;
  readonly #verbose: boolean;
  /** What became of a move, when nobody knows whether it succeeded. */
  #uncertain: MigrationError | undefined;

  /** @param verbose whether errors show where they are from */
  constructor(shared: SharedOptions, verbose: boolean) {
    this.shared = shared;
    this.#verbose = verbose;
  }

  /** The exit status of a program that was saved. */
  get status(): number {
    return this.#uncertain ? statusOf(this.#uncertain) : STATUS.ok;
  }

  /** The options of a VM that follow from the command line. */
  commonOptions(): CommonOptions {
    return {
      allow: this.shared.allow,
      root: this.shared.root,
      tracer: this.shared.trace?.tracer,
      strict: this.shared.strict,
      warn: say,
      // Not within the call that stopped it.
      onStop: (vm) => void setTimeout(() => standStill(vm)),
      onSave: async (vm) => {
        const error = await this.save(vm, false);
        if (error !== undefined) return -errnoOf(error);
        return this.shared.continues ? 0 : "stop";
      },
    };
  }

  /**
   * Saves to where the command line says, or moves the program there.
   *
   * @param stop whether the VM ends when it was saved
   * @returns what went wrong, which was said
   */
  async save(vm: Vm, stop: boolean): Promise<unknown> {
    const { trace } = this.shared;
    try {
      const said = await this.#put(vm, stop);
      if (trace) trace.print("SAVE OPERATION");
      else say(said);
    } catch (error) {
      // Given up as the VM was ended: that is said by whoever ended it.
      if (!isAbort(error)) report(error, this.#verbose);
      const isUncertain = error instanceof MigrationError &&
        error.code === "MIGRATION_UNCERTAIN";
      if (isUncertain) this.#uncertain = error;
      return error;
    }
  }

  async #put(vm: Vm, stop: boolean): Promise<string> {
    const { saveTo, moves, ends, ...how } = this.shared;
    const options = {
      ...ends,
      compress: how.compress,
      carryFiles: how.carryFiles,
      quiesceTimeoutMs: how.quiesceTimeoutMs,
    };
    // One that may run elsewhere already is not moved a second time.
    if (moves && !this.#uncertain) {
      const { totalBytes } = await migrate(vm, saveTo, {
        ...options,
        keep: KEEP,
      });
      return `moved to ${saveTo} (${totalBytes} bytes)`;
    }
    const to = moves ? freeName(KEEP) : saveTo;
    const { totalBytes } = await vm.save(to, { ...options, stop });
    return `saved to ${to} (${totalBytes} bytes)`;
  }
}

/**
 * Stops this process, as its program was stopped, with the VM paused meanwhile:
 * the shell gets its terminal as it was. What continues this process continues
 * the program.
 */
async function standStill(vm: Vm): Promise<void> {
  await vm.pause();
  if (vm.state === "stopped") return;
  Deno.kill(Deno.pid, "SIGSTOP");
  vm.signal(SIGNAL.SIGCONT);
  vm.run().catch(() => {}); // whoever ran it first is told
}

/**
 * Runs a VM to its end, and saves it when SIGUSR2 asks for it.
 *
 * @returns the exit status of the command
 */
export async function session(
  vm: Vm,
  saves: Saves,
  signals: Signals,
): Promise<number> {
  let interrupted = 0;
  // A program that does nothing about a signal is ended, whatever it waits for.
  const pass = (name: keyof typeof SIGNAL) => () => {
    const signal = SIGNAL[name];
    if (vm.state === "stopped") return;
    if (!vm.endsBy(signal)) return vm.signal(signal);
    interrupted = 128 + signal;
    void vm.kill();
  };
  let saving: Promise<unknown> = Promise.resolve();
  let isStopping = false;
  const saveNow = async () => {
    // One that stops the VM is the last.
    if (vm.end || isStopping) return;
    isStopping = !saves.shared.continues;
    const error = await saves.save(vm, isStopping);
    if (error !== undefined) isStopping = false;
  };
  signals.answer({
    SIGHUP: pass("SIGHUP"),
    SIGINT: pass("SIGINT"),
    SIGQUIT: pass("SIGQUIT"),
    SIGTERM: pass("SIGTERM"),
    SIGWINCH: pass("SIGWINCH"),
    SIGTSTP: pass("SIGTSTP"),
    SIGUSR2: () => {
      // One that is asked for while another is under way ends before that.
      const before = saving;
      saving = saveNow().then(() => before);
    },
  });
  // Nobody would know that it was stopped when it was saved.
  if (vm.stopSignal !== undefined) vm.signal(SIGNAL.SIGCONT);
  const end = await vm.run();
  await saving;
  if (interrupted > 0) return interrupted;
  if (end.kind === "saved") return saves.status;
  if (end.kind === "exited") return end.code;
  const address = end.address === undefined
    ? ""
    : ` at address 0x${end.address.toString(16)}`;
  say(
    `the program was ended by ${
      signalName(end.signal)
    } (${end.what})${address}, RIP 0x${end.rip.toString(16)}`,
  );
  return 128 + end.signal;
}
