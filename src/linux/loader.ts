/**
 * Loading a program: its segments and its first stack.
 *
 * @module
 */

import type { AreaSource } from "./area_source.ts";
import type { AreaKind } from "./areas.ts";
import { PAGE_BYTES, PROT, USER_END_VA } from "../vmm/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import { type ElfProgram, readElf } from "./elf.ts";
import { ProgramError } from "./errors.ts";
import { openExecutable, openInterpreter, type Word } from "./find_program.ts";
import type { ProgramFile, ProgramOpener } from "./program_file.ts";
import { pageCeil, STACK_BYTES, STACK_TOP_VA } from "./space_layout.ts";
import { UserMemory } from "./user_memory.ts";
import { mapVdso } from "./vdso/map.ts";

/** Where a position-independent program is put (Linux's, without ASLR). */
const PIE_BASE_VA = 0x5555_5555_4000;

/** Most bytes of arguments and environment together (execve(2)). */
export const MAX_ARGUMENT_BYTES: number = STACK_BYTES / 4;

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
  /** What opens its files. */
  readonly root: ProgramOpener;
  /** Path of the program, or of a script. */
  readonly path: string;
  /** Where a relative path begins, a character a byte. */
  readonly cwd: string;
  /** argv, the program's own name first. */
  readonly argv: readonly Word[];
  /** Environment, `NAME=value` each. */
  readonly environment: readonly Word[];
  /** User and group that the program runs as. */
  readonly uid: number;
  /** Its group. */
  readonly gid: number;
  /** CPUID leaf 1, EDX: AT_HWCAP. */
  readonly hwcap: number;
}

/** A program that was loaded. */
export interface LoadedProgram {
  /** Address of the first instruction. */
  readonly entry: number;
  /** Stack pointer. */
  readonly stackPointer: number;
  /** Path of the program: of a script, that of what runs it. */
  readonly executable: string;
  /** Its arguments, as text: of a script, those of what runs it. */
  readonly argv: readonly string[];
  /** The scripts that it runs. */
  readonly scripts: readonly string[];
  /** Path of what loads its libraries; absent: it is linked statically. */
  readonly interpreter?: string;
}

/** An ELF file, where it was put. */
interface Placed {
  readonly elf: ElfProgram;
  /** What is added to its addresses. */
  readonly base: number;
  /** First address behind it. */
  readonly end: number;
}

/**
 * Loads a program into an empty address space, and what loads its libraries.
 *
 * @throws {ProgramError} when it cannot be loaded
 */
export function loadProgram(
  space: AddressSpace,
  user: UserMemory,
  start: ProgramStart,
): LoadedProgram {
  const { root, cwd } = start;
  const found = openExecutable(start.path, start.argv, start);
  using file = found.file;
  const program = place(space, user, file, PIE_BASE_VA);
  space.setBrkStart(pageCeil(program.end));
  mapStack(space, program.elf, file.path);
  const vdsoVa = mapVdso(space, user);
  const interpreterPath = interpreterOf(file, program.elf);
  const { argv, scripts } = found;
  const loaded = { argv: argv.map(textOf), scripts, executable: file.path };
  const stack = (base: number) =>
    writeStack(user, program, base, { ...start, argv }, vdsoVa);
  if (interpreterPath === undefined) {
    const entry = program.base + program.elf.entry;
    return { ...loaded, entry, stackPointer: stack(0) };
  }
  using interpreter = openInterpreter(root, interpreterPath, cwd, file.path);
  const { elf, base } = place(space, user, interpreter);
  return {
    ...loaded,
    entry: base + elf.entry,
    stackPointer: stack(base),
    interpreter: interpreterPath,
  };
}

/**
 * Looks whether a program can be loaded, as far as its files tell.
 *
 * @throws {ProgramError} when it cannot
 */
export function checkProgram(
  { root, path, cwd, argv }: Pick<
    ProgramStart,
    "root" | "path" | "cwd" | "argv"
  >,
): void {
  using file = openExecutable(path, argv, { root, cwd }).file;
  const interpreterPath = interpreterOf(file, readHead(file));
  if (interpreterPath === undefined) return;
  using interpreter = openInterpreter(root, interpreterPath, cwd, file.path);
  try {
    readHead(interpreter);
  } catch (cause) {
    throw new ProgramError(
      "PROGRAM_INTERPRETER",
      `Cannot run ${file.path}: its interpreter cannot be loaded`,
      { cause },
    );
  }
}

function readHead(file: ProgramFile): ElfProgram {
  const headBytes = Math.min(file.sizeBytes, 2 * PAGE_BYTES);
  return readElf(file.path, file.read(0, headBytes), file.sizeBytes);
}

/** A word, for people. */
function textOf(word: Word): string {
  return typeof word === "string" ? word : new TextDecoder().decode(word);
}

/** The path of a program's interpreter. @throws {ProgramError} */
function interpreterOf(
  file: ProgramFile,
  { interpreter }: ElfProgram,
): string | undefined {
  if (!interpreter) return undefined;
  const bytes = file.read(interpreter.offset, interpreter.lengthBytes);
  const refuse = (why: string, cause?: unknown) =>
    new ProgramError("PROGRAM_CORRUPT", `Cannot run ${file.path}: ${why}`, {
      cause,
    });
  if (bytes.at(-1) !== 0) {
    throw refuse("the path of its interpreter does not end");
  }
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
  } catch (cause) {
    throw refuse("the path of its interpreter is not UTF-8", cause);
  }
}

/**
 * Maps and fills the segments of an ELF file.
 *
 * @param wish where it goes if it may go anywhere; absent: where there is room
 * @throws {ProgramError} when it cannot be loaded
 */
function place(
  space: AddressSpace,
  user: UserMemory,
  file: ProgramFile,
  wish?: number,
): Placed {
  const elf = readHead(file);
  const first = elf.segments[0].va;
  const last = elf.segments[elf.segments.length - 1];
  let base = 0;
  if (elf.isPie) {
    const { alignBytes } = elf;
    const from = first - first % PAGE_BYTES;
    // So much more that there is room for the alignment.
    const bytes = pageCeil(last.va + last.memoryBytes) - from + alignBytes;
    const at = wish ?? space.findFree(bytes);
    if (at < 0) throw tooLarge(file.path, first, bytes);
    const slack = wish === undefined ? alignBytes - PAGE_BYTES : 0;
    base = Math.floor((at + slack - from) / alignBytes) * alignBytes;
  }
  const entry = base + elf.entry;
  if (entry < 0 || entry >= USER_END_VA) {
    throw new ProgramError(
      "PROGRAM_CORRUPT",
      `Cannot run ${file.path}: it begins where no program can be`,
    );
  }
  const end = loadSegments(space, user, file, elf, base);
  return { elf, base, end };
}

function tooLarge(path: string, va: number, bytes: number): ProgramError {
  return new ProgramError(
    "PROGRAM_UNSUPPORTED",
    `Cannot run ${path}: its segment at 0x${
      va.toString(16)
    } of ${bytes} bytes does not fit the VM's memory`,
    { hint: "give it more with --memory" },
  );
}

function mapStack(space: AddressSpace, elf: ElfProgram, path: string): void {
  const prot = PROT.read | PROT.write |
    (elf.stackIsExecutable ? PROT.exec : 0);
  const va = STACK_TOP_VA - STACK_BYTES;
  if (space.map(va, STACK_BYTES, prot, "stack") >= 0) return;
  throw new ProgramError(
    "PROGRAM_UNSUPPORTED",
    `Cannot run ${path}: its stack of ${STACK_BYTES} bytes does not fit the VM's memory`,
    { hint: "give it more with --memory" },
  );
}

/** What an area is of, as {@linkcode AddressSpace.map} takes it. */
type MapRest = [kind: AreaKind, lazy?: boolean, source?: AreaSource];

/** Maps and fills the segments; returns the end of the last. */
function loadSegments(
  space: AddressSpace,
  user: UserMemory,
  file: ProgramFile,
  elf: ElfProgram,
  base: number,
): number {
  let mappedEnd = 0;
  let end = 0;
  for (const segment of elf.segments) {
    const va = base + segment.va;
    end = va + segment.memoryBytes;
    // Two segments may share a page; it keeps the first one's protection.
    const from = Math.max(va - va % PAGE_BYTES, mappedEnd);
    const to = pageCeil(end);
    // What is behind the file's part is memory like any other.
    const held = Math.max(pageCeil(va + segment.fileBytes), from);
    const offset = segment.fileOffset + (from - va);
    const source = file.source && offset >= 0
      ? { file: file.source, offset }
      : undefined;
    const map = (start: number, end: number, ...of: MapRest) =>
      end <= start ||
      space.map(start, end - start, segment.prot, ...of) >= 0;
    if (to > from) {
      const isMapped =
        map(from, Math.min(held, to), "program", false, source) &&
        map(held, to, "anonymous");
      if (!isMapped) throw tooLarge(file.path, va, segment.memoryBytes);
      mappedEnd = to;
    }
    for (let done = 0; done < segment.fileBytes;) {
      const io = user.area(va + done, segment.fileBytes - done);
      done += file.readInto(io, segment.fileOffset + done);
    }
  }
  return end;
}

/** Writes argc, argv, envp and auxv; returns the stack pointer. */
function writeStack(
  user: UserMemory,
  { elf, base }: Placed,
  interpreterBase: number,
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
  const text = (s: Word) => push(UserMemory.zeroTerminated(s));
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
    [AT.base, interpreterBase],
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
