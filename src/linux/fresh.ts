/**
 * A program that begins.
 *
 * @module
 */

import {
  Clock,
  close,
  FdTable,
  type HostPaths,
  HostStream,
  O,
  pathOf,
  pathText,
  type RootFolder,
  type ScriptConsole,
  ScriptStream,
  SYSTEM,
} from "../devices/mod.ts";
import { bootVcpu, VmError, writeBootPages } from "../vmm/mod.ts";
import { AddressSpace } from "./address_space.ts";
import type { Devices } from "./devices.ts";
import type { Hardware } from "./hardware.ts";
import { findProgram } from "./find_program.ts";
import { hwcapOf } from "./hwcap.ts";
import { type LoadedProgram, loadProgram } from "./loader.ts";
import { Process } from "./process.ts";
import {
  openPaths,
  openRoot,
  type ProgramParts,
  realPath,
} from "./program_parts.ts";
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
  const { environment = {} } = options;
  const root = openRoot(options.root);
  // Until the paths own it.
  using rootOwned = new DisposableStack();
  rootOwned.use(root);
  const cwd = folderOf(root, options.cwd ?? ".");
  // What the user names begins where the user is.
  const here = root.isHost ? root.currentFolder() : cwd;
  const search = { root, cwd: here, path: environment.PATH };
  const path = findProgram(options.program, search);
  writeBootPages(memory);
  const space = new AddressSpace(memory);
  const argv = [options.program, ...options.args ?? []];
  const start = loadProgram(space, new UserMemory(memory, space), {
    root,
    path,
    cwd: here,
    argv,
    environment: Object.entries(environment).map(
      ([name, value]) => `${name}=${value}`,
    ),
    uid: Deno.uid() ?? 0,
    gid: Deno.gid() ?? 0,
    hwcap: hwcapOf(vcpu.getCpuid()),
  });
  memory.attach(vm);
  bootVcpu(vcpu, start.entry, start.stackPointer);
  const fds = new FdTable();
  standardStreams(fds, options.console);
  space.files.attach(fds);
  const executable = textOf(root, start.executable, here);
  const process = new Process(
    Process.initial(executable, start.argv, cwd, Deno.umask()),
  );
  process.current.state.name = nameOf(path);
  rootOwned.move();
  const own = [start.executable, ...start.scripts];
  const paths = owned.use(openPaths(
    options.allow,
    root,
    own.map((file) => textOf(root, file, here)),
  ));
  warnOfLibraries(start, paths, options);
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
function folderOf(root: RootFolder, path: string): string {
  const action = `Cannot use ${path} as the program's folder`;
  const found = realPath(root, path, root.currentFolder());
  if (typeof found !== "string") {
    throw new VmError("VM_CONFIG", `${action}: ${found.why}`);
  }
  const fd = root.open(found, O.path | O.directory);
  if (fd < 0) {
    throw new VmError("VM_CONFIG", `${action}: it is not a folder`);
  }
  close(fd);
  return found;
}

/** A path without links, as text; itself, where it cannot be. */
function textOf(root: RootFolder, path: string, cwd: string): string {
  const found = realPath(root, path, cwd);
  return typeof found === "string" ? pathText(found) ?? path : path;
}

/** The name of a process: the last of its path's names, 15 bytes of it. */
function nameOf(path: string): string {
  return pathOf(path.slice(path.lastIndexOf("/") + 1)).slice(0, 15);
}

/** Says why the libraries of a program will not be found. */
function warnOfLibraries(
  { executable, interpreter }: LoadedProgram,
  paths: HostPaths,
  { warn }: VmOptions,
): void {
  if (interpreter === undefined) return;
  const fd = paths.open("/", pathOf(interpreter), O.path, 0, { read: true });
  if (fd >= 0) close(fd);
  else {
    warn?.(
      `${executable} uses shared libraries, and may not read ${interpreter}: allow it to read ${SYSTEM}, or where they are`,
    );
  }
}

function standardStreams(fds: FdTable, script?: ScriptConsole): void {
  for (const stream of [0, 1, 2]) {
    const file = script
      ? new ScriptStream(script, stream)
      : new HostStream(stream, O.readWrite | O.largeFile);
    fds.installAt(stream, file, false);
  }
}
