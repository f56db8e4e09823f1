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
  PendingIo,
  type ScriptConsole,
  ScriptStream,
} from "../devices/mod.ts";
import { cpuidEntries, type KvmVcpu } from "../kvm/mod.ts";
import { bootVcpu, writeBootPages } from "../vmm/mod.ts";
import { AddressSpace } from "./address_space.ts";
import type { Hardware } from "./hardware.ts";
import { loadProgram } from "./loader.ts";
import { Process } from "./process.ts";
import { openPaths, type ProgramParts } from "./program_parts.ts";
import { UserMemory } from "./user_memory.ts";
import type { VmOptions } from "./vm_options.ts";

/**
 * Loads a program into a fresh VM, up to before its first instruction.
 *
 * @throws {ProgramError} when it cannot be loaded
 */
export function loadFresh(
  { vm, vcpu, memory }: Hardware,
  options: VmOptions,
): ProgramParts {
  using owned = new DisposableStack();
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
  const paths = owned.use(openPaths(options.allow));
  const fds = new FdTable();
  standardStreams(fds, options.console);
  const cwd = pathOf(Deno.realPathSync(options.cwd ?? "."));
  const executable = Deno.realPathSync(options.program);
  const process = new Process(
    Process.initial(executable, argv, cwd, Deno.umask()),
  );
  owned.move();
  const pending = new PendingIo();
  return { space, process, fds, pending, clock: new Clock(), paths };
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
