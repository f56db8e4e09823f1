/**
 * Running a VM for a command: saves, signals, and its end.
 *
 * @module
 */

import { constants } from "node:os";
import { type CommonOptions, signalName, type Vm } from "../../mod.ts";
import type { SharedOptions } from "./options.ts";
import { report, STATUS } from "./report.ts";
import type { Signals } from "./signals.ts";
import { printable, tell } from "./text.ts";

/** Tells the user something. */
export function say(message: string): void {
  tell(`vm: ${printable(message)}`);
}

/** The options of a VM that follow from the command line. */
export function commonOptions(
  shared: SharedOptions,
  verbose: boolean,
): CommonOptions {
  return {
    allow: shared.allow,
    tracer: shared.trace?.tracer,
    strict: shared.strict,
    warn: say,
    onSave: async (vm) => {
      const error = await save(vm, shared, verbose, false);
      if (error !== undefined) return -errnoOf(error);
      return shared.continues ? 0 : "stop";
    },
  };
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

/** Saves to where the command line says; what went wrong is said, and given. */
async function save(
  vm: Vm,
  shared: SharedOptions,
  verbose: boolean,
  stop: boolean,
): Promise<unknown> {
  try {
    const { totalBytes } = await vm.save(shared.savePath, { ...shared, stop });
    if (shared.trace) shared.trace.print("SAVE OPERATION");
    else say(`saved to ${shared.savePath} (${totalBytes} bytes)`);
  } catch (error) {
    // Given up as the VM was ended: that is said by whoever ended it.
    if (!isAbort(error)) report(error, verbose);
    return error;
  }
}

/**
 * Runs a VM to its end, and saves it when SIGUSR2 asks for it.
 *
 * @returns the exit status of the command
 */
export async function session(
  vm: Vm,
  shared: SharedOptions,
  verbose: boolean,
  signals: Signals,
): Promise<number> {
  let interrupted = 0;
  const stop = (status: number) => () => {
    interrupted = status;
    void vm.kill();
  };
  let saving: Promise<unknown> = Promise.resolve();
  let isStopping = false;
  const saveNow = async () => {
    // One that stops the VM is the last.
    if (vm.end || isStopping) return;
    isStopping = !shared.continues;
    const error = await save(vm, shared, verbose, isStopping);
    if (error !== undefined) isStopping = false;
  };
  signals.answer({
    SIGINT: stop(STATUS.interrupted),
    SIGTERM: stop(143),
    SIGUSR2: () => saving = saveNow(),
  });
  const end = await vm.run();
  await saving;
  if (interrupted > 0) return interrupted;
  if (end.kind === "saved") return STATUS.ok;
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
