/**
 * A program that begins.
 *
 * @module
 */

import {
  Clock,
  FdTable,
  HostStream,
  O,
  pathOf,
  type ScriptConsole,
  ScriptStream,
} from "../devices/mod.ts";
import { cpuidEntries, type KvmVcpu } from "../kvm/mod.ts";
import { bootVcpu, VmError, writeBootPages } from "../vmm/mod.ts";
import { AddressSpace } from "./address_space.ts";
import type { Devices } from "./devices.ts";
import type { Hardware } from "./hardware.ts";
import { loadProgram } from "./loader.ts";
import { Process } from "./process.ts";
import { openPaths, type ProgramParts, realPath } from "./program_parts.ts";
import { UserMemory } from "./user_memory.ts";
import type { VmOptions } from "./vm_options.ts";

/**
 * Loads a program into a fresh VM, up to before its first instruction.
 *
 * @throws {ProgramError} when it cannot be loaded
 * @throws {VmError} VM_CONFIG when the options do not fit
 * @throws {FilesError} when a path cannot be allowed
 */
export function loadFresh(
  { vm, vcpu, memory }: Hardware,
  options: VmOptions,
  devices: Devices,
): ProgramParts {
  using owned = new DisposableStack();
  checkWords(options);
  const cwd = folderOf(options.cwd ?? ".");
  const paths = owned.use(openPaths(options.allow));
  writeBootPages(memory);
  const space = new AddressSpace(memory);
  const argv = [options.program, ...options.args ?? []];
  const start = loadProgram(space, new UserMemory(memory, space), {
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
  const fds = new FdTable();
  standardStreams(fds, options.console);
  const executable = Deno.realPathSync(options.program);
  const process = new Process(
    Process.initial(executable, argv, cwd, Deno.umask()),
  );
  owned.move();
  const pending = { calls: [] };
  const clock = new Clock();
  return { space, process, fds, pending, clock, paths, devices };
}

/**
 * Refuses what does not reach the program as it is: its first stack holds words
 * that end at a NUL, and variables that have a name up to the first "=".
 *
 * @throws {VmError} VM_CONFIG
 */
function checkWords({ program, args = [], environment = {} }: VmOptions): void {
  const refuse = (what: string, why: string) => {
    throw new VmError("VM_CONFIG", `Cannot run ${program}: ${what} ${why}`);
  };
  if (program.includes("\0")) refuse("its path", "contains a NUL character");
  args.forEach((word, i) => {
    if (word.includes("\0")) {
      refuse(`argument ${i + 1}`, "contains a NUL character");
    }
  });
  for (const [name, value] of Object.entries(environment)) {
    const what = `the environment variable "${name}"`;
    if (name === "") refuse("an environment variable", "has no name");
    if (name.includes("=")) refuse(what, 'has a "=" in its name');
    if (`${name}${value}`.includes("\0")) {
      refuse(what, "contains a NUL character");
    }
  }
}

/** The program's folder, a character a byte. @throws {VmError} VM_CONFIG */
function folderOf(path: string): string {
  const action = `Cannot use ${path} as the program's folder`;
  const found = realPath(path);
  if (typeof found !== "string") {
    const { why, cause } = found;
    throw new VmError("VM_CONFIG", `${action}: ${why}`, { cause });
  }
  if (Deno.statSync(found).isDirectory) return pathOf(found);
  throw new VmError("VM_CONFIG", `${action}: it is not a folder`);
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
  for (const { leaf, registers } of cpuidEntries(vcpu.getCpuid())) {
    if (leaf === 1) return registers[3];
  }
  return 0;
}
