/**
 * Running a VM for a command: saves, signals, and its end.
 *
 * @module
 */

import { type CommonOptions, signalName, type Vm } from "../../mod.ts";
import type { SharedOptions } from "./options.ts";
import { report, STATUS } from "./report.ts";

/** Tells the user something. */
export function say(message: string): void {
  console.error(`vm: ${message}`);
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
      const saved = await save(vm, shared, verbose);
      if (!saved) return -EIO;
      return shared.continues ? 0 : "stop";
    },
  };
}

/** What SAVE() fails with when the image could not be written (errno.h). */
const EIO = 5;

/** Saves to where the command line says; false, and said, when it fails. */
async function save(
  vm: Vm,
  shared: SharedOptions,
  verbose: boolean,
): Promise<boolean> {
  try {
    const { totalBytes } = await vm.save(shared.savePath, shared);
    if (shared.trace) shared.trace.print("SAVE OPERATION");
    else say(`saved to ${shared.savePath} (${totalBytes} bytes)`);
    return true;
  } catch (error) {
    report(error, verbose);
    return false;
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
): Promise<number> {
  let interrupted = 0;
  const stop = (status: number) => () => {
    interrupted = status;
    vm.kill();
  };
  const onSave = async () => {
    if (vm.end) return;
    const saved = await save(vm, shared, verbose);
    if (saved && !shared.continues) {
      interrupted = -1;
      await vm.kill();
    }
  };
  const signals: [Deno.Signal, () => void][] = [
    ["SIGINT", stop(STATUS.interrupted)],
    ["SIGTERM", stop(143)],
    ["SIGUSR2", onSave],
  ];
  for (const [name, listener] of signals) Deno.addSignalListener(name, listener);
  try {
    const end = await vm.run();
    if (interrupted < 0) return STATUS.ok;
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
  } finally {
    for (const [name, listener] of signals) {
      Deno.removeSignalListener(name, listener);
    }
  }
}
