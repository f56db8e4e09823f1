/**
 * Loading a program: its segments and its first stack.
 *
 * @module
 */

import { PAGE_BYTES, PROT } from "../vmm/mod.ts";
import {
  type AddressSpace,
  pageCeil,
  STACK_BYTES,
  STACK_TOP_VA,
} from "./address_space.ts";
import { type ElfProgram, readElf } from "./elf.ts";
import { ProgramError } from "./errors.ts";
import { UserMemory } from "./user_memory.ts";
import { mapVdso } from "./vdso/map.ts";

/** Where a position-independent program is put (Linux's, without ASLR). */
const PIE_BASE_VA = 0x5555_5555_4000;

/** Most bytes of arguments and environment together (execve(2)). */
const MAX_ARGUMENT_BYTES = STACK_BYTES / 4;

/** Entries of the auxiliary vector (getauxval(3), linux/auxvec.h). */
const AT = {
  null: 0,
  phdr: 3,
  phent: 4,
  phnum: 5,
  pagesz: 6,
  base: 7,
  flags: 8,
  entry: 9,
  uid: 11,
  euid: 12,
  gid: 13,
  egid: 14,
  platform: 15,
  hwcap: 16,
  clktck: 17,
  secure: 23,
  random: 25,
  hwcap2: 26,
  execfn: 31,
  sysinfoEhdr: 33,
  minsigstksz: 51,
} as const;

/** What a program is started with. */
export interface ProgramStart {
  /** Path of the program. */
  readonly path: string;
  /** argv, the program's own name first. */
  readonly argv: readonly string[];
  /** Environment, `NAME=value` each. */
  readonly environment: readonly string[];
  /** User and group that the program runs as. */
  readonly uid: number;
  /** Its group. */
  readonly gid: number;
  /** CPUID leaf 1, EDX: AT_HWCAP. */
  readonly hwcap: number;
}

/** Where a loaded program begins. */
export interface LoadedProgram {
  /** Address of the first instruction. */
  readonly entry: number;
  /** Stack pointer. */
  readonly stackPointer: number;
}

/**
 * Loads a program into an empty address space.
 *
 * @throws {ProgramError} when it cannot be loaded
 */
export function loadProgram(
  space: AddressSpace,
  user: UserMemory,
  start: ProgramStart,
): LoadedProgram {
  const file = openProgram(start.path);
  try {
    const info = file.statSync();
    const head = new Uint8Array(Math.min(info.size, 2 * PAGE_BYTES));
    readFully(file, 0, head, start.path);
    const elf = readElf(start.path, head, info.size);
    const base = elf.isPie ? PIE_BASE_VA : 0;
    const end = loadSegments(space, user, file, elf, base, start.path);
    space.setBrkStart(pageCeil(end));
    const stackProt = PROT.read | PROT.write |
      (elf.stackIsExecutable ? PROT.exec : 0);
    const stackVa = STACK_TOP_VA - STACK_BYTES;
    if (space.map(stackVa, STACK_BYTES, stackProt, "stack") < 0) {
      throw new ProgramError(
        "PROGRAM_UNSUPPORTED",
        `Cannot run ${start.path}: its stack of ${STACK_BYTES} bytes does not fit the VM's memory`,
        { hint: "give it more with --memory" },
      );
    }
    const vdsoVa = mapVdso(space, user);
    return {
      entry: base + elf.entry,
      stackPointer: writeStack(user, elf, base, start, vdsoVa),
    };
  } finally {
    file.close();
  }
}

/** Opens the file of a program. */
function openProgram(path: string): Deno.FsFile {
  try {
    // Before it is opened: opening a pipe would wait for a writer.
    if (Deno.statSync(path).isFile) return Deno.openSync(path);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "there is no such file"
      : (cause as Error).message;
    throw new ProgramError(
      "PROGRAM_NOT_FOUND",
      `Cannot run ${path}: ${why}`,
      { cause },
    );
  }
  throw new ProgramError(
    "PROGRAM_NOT_ELF",
    `Cannot run ${path}: it is not a file`,
  );
}

function readFully(
  file: Deno.FsFile,
  offset: number,
  into: Uint8Array,
  path: string,
): void {
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let done = 0; done < into.length;) {
    const n = file.readSync(into.subarray(done));
    if (n === null) {
      throw new ProgramError(
        "PROGRAM_CORRUPT",
        `Cannot run ${path}: it became shorter while it was read`,
      );
    }
    done += n;
  }
}

/** Maps and fills the segments; returns the end of the last. */
function loadSegments(
  space: AddressSpace,
  user: UserMemory,
  file: Deno.FsFile,
  elf: ElfProgram,
  base: number,
  path: string,
): number {
  const chunk = new Uint8Array(1024 * 1024);
  let mappedEnd = 0;
  let end = 0;
  for (const segment of elf.segments) {
    const va = base + segment.va;
    end = va + segment.memoryBytes;
    // Two segments may share a page; it keeps the first one's protection.
    const from = Math.max(va - va % PAGE_BYTES, mappedEnd);
    const to = pageCeil(end);
    if (to > from) {
      const result = space.map(from, to - from, segment.prot, "program");
      if (result < 0) {
        throw new ProgramError(
          "PROGRAM_UNSUPPORTED",
          `Cannot run ${path}: its segment at 0x${
            va.toString(16)
          } of ${segment.memoryBytes} bytes does not fit the VM's memory`,
          { hint: "give it more with --memory" },
        );
      }
      mappedEnd = to;
    }
    for (let done = 0; done < segment.fileBytes; done += chunk.length) {
      const part = chunk.subarray(0, segment.fileBytes - done);
      readFully(file, segment.fileOffset + done, part, path);
      user.load(va + done, part);
    }
  }
  return end;
}

/** Writes argc, argv, envp and auxv; returns the stack pointer. */
function writeStack(
  user: UserMemory,
  elf: ElfProgram,
  base: number,
  start: ProgramStart,
  vdsoVa: number | undefined,
): number {
  let at = STACK_TOP_VA - 8;
  const push = (bytes: Uint8Array): number => {
    at -= bytes.length;
    if (at < STACK_TOP_VA - MAX_ARGUMENT_BYTES) {
      throw new ProgramError(
        "PROGRAM_UNSUPPORTED",
        `Cannot run ${start.path}: arguments and environment take more than ${MAX_ARGUMENT_BYTES} bytes`,
      );
    }
    user.load(at, bytes);
    return at;
  };
  const text = (s: string) => push(UserMemory.zeroTerminated(s));
  const execfn = text(start.path);
  const environment = start.environment.map(text);
  const argv = start.argv.map(text);
  const platform = text("x86_64");
  at -= at % 16;
  const random = push(crypto.getRandomValues(new Uint8Array(16)));
  const auxv: [number, number][] = [
    ...vdsoVa === undefined
      ? []
      : [[AT.sysinfoEhdr, vdsoVa] as [number, number]],
    [AT.hwcap, start.hwcap],
    [AT.pagesz, PAGE_BYTES],
    [AT.clktck, 100],
    [AT.phdr, base + elf.phdrVa],
    [AT.phent, 56],
    [AT.phnum, elf.phdrCount],
    [AT.base, 0],
    [AT.flags, 0],
    [AT.entry, base + elf.entry],
    [AT.uid, start.uid],
    [AT.euid, start.uid],
    [AT.gid, start.gid],
    [AT.egid, start.gid],
    [AT.secure, 0],
    [AT.random, random],
    [AT.hwcap2, 2], // FSGSBASE may be used
    [AT.execfn, execfn],
    [AT.platform, platform],
    [AT.minsigstksz, 3632],
    [AT.null, 0],
  ];
  const words = [
    argv.length,
    ...argv,
    0,
    ...environment,
    0,
    ...auxv.flat(),
  ];
  const bytes = new BigUint64Array(words.map(BigInt));
  // The stack pointer is a multiple of 16 at the first instruction.
  at -= (at - bytes.byteLength) % 16;
  return push(new Uint8Array(bytes.buffer));
}
