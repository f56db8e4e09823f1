/**
 * Reading ELF headers. Layouts and constants: elf(5) and linux/elf.h.
 *
 * @module
 */

import { PAGE_BYTES } from "../vmm/mod.ts";
import { ProgramError } from "./errors.ts";
import { PATH_MAX } from "./user_memory.ts";

/** Size of the file header and of a program header, bytes. */
const EHDR_BYTES = 64;
const PHDR_BYTES = 56;

/** Most program headers: what fits a page, as Linux has it. */
const MAX_PHDRS = Math.floor(4096 / PHDR_BYTES);

/** Largest alignment that is heeded: that of a huge page of 1 GiB. */
const MAX_ALIGN_BYTES = 1024 ** 3;

const isPower = (n: number): boolean => Number.isInteger(Math.log2(n));

const ET = { exec: 2, dyn: 3 } as const;
const EM_X86_64 = 62;
const PT = { load: 1, interp: 3, phdr: 6, gnuStack: 0x6474_e551 } as const;

/** Other machines whose programs people try, by e_machine. */
const MACHINES: Record<number, string> = {
  3: "i386",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC64",
  22: "S390",
  40: "ARM",
  183: "AArch64",
  243: "RISC-V",
  258: "LoongArch",
};

/** A part of the file that is loaded. */
export interface Segment {
  /** Virtual address, before the program's base is added. */
  readonly va: number;
  /** Where in the file. */
  readonly fileOffset: number;
  /** Bytes in the file. */
  readonly fileBytes: number;
  /** Bytes in memory; those the file lacks are zero. */
  readonly memoryBytes: number;
  /** A sum of PROT_*. */
  readonly prot: number;
}

/** What the headers of a program say. */
export interface ElfProgram {
  /** Whether it may be loaded at any address. */
  readonly isPie: boolean;
  /** Address of the first instruction. */
  readonly entry: number;
  /** Address of the program headers in memory. */
  readonly phdrVa: number;
  /** How many program headers. */
  readonly phdrCount: number;
  /** The parts to load, in order of address. */
  readonly segments: readonly Segment[];
  /** Whether the stack must be executable. */
  readonly stackIsExecutable: boolean;
  /** The largest alignment that a segment asks for, at least a page. */
  readonly alignBytes: number;
  /** Where in the file the path of its interpreter is; absent: it needs none. */
  readonly interpreter?: FilePart;
}

/** A part of a file. */
export interface FilePart {
  /** Where it begins. */
  readonly offset: number;
  /** How long it is. */
  readonly lengthBytes: number;
}

/**
 * Reads and checks the headers of a program.
 *
 * @param path for messages
 * @param head the first bytes of the file; at least a page if it has them
 * @param fileBytes how long the file is
 * @throws {ProgramError} when it is not an x86-64 program
 */
export function readElf(
  path: string,
  head: Uint8Array,
  fileBytes: number,
): ElfProgram {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const corrupt = (what: string) =>
    new ProgramError("PROGRAM_CORRUPT", `Cannot run ${path}: ${what}`);
  if (head.length < 4 || view.getUint32(0) !== 0x7f454c46) {
    throw new ProgramError(
      "PROGRAM_NOT_ELF",
      `Cannot run ${path}: it is neither an ELF file nor a script that begins with "#!"`,
      { hint: "give the path of an x86-64 Linux program" },
    );
  }
  if (head.length < EHDR_BYTES) throw corrupt("its ELF header is cut off");
  const machine = view.getUint16(18, true);
  if (head[4] !== 2 || head[5] !== 1 || machine !== EM_X86_64) {
    const name = MACHINES[view.getUint16(18, head[5] !== 2)] ??
      `machine ${machine}`;
    throw new ProgramError(
      "PROGRAM_ARCHITECTURE",
      `Cannot run ${path}: it is for ${
        machine === EM_X86_64 ? "x32" : name
      }, must be for x86-64`,
    );
  }
  const type = view.getUint16(16, true);
  if (type !== ET.exec && type !== ET.dyn) {
    throw corrupt(`it is no program (ELF type ${type})`);
  }
  const number = (at: number): number => {
    const value = view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw corrupt(
        `a number in its headers is too large: 0x${value.toString(16)}`,
      );
    }
    return Number(value);
  };
  const phoff = number(32);
  const phdrCount = view.getUint16(56, true);
  if (
    view.getUint16(54, true) !== PHDR_BYTES || phdrCount === 0 ||
    phdrCount > MAX_PHDRS || phoff + phdrCount * PHDR_BYTES > head.length
  ) throw corrupt("its program headers are missing or cut off");
  const segments: Segment[] = [];
  let phdrVa = 0;
  let stackIsExecutable = false;
  let alignBytes = PAGE_BYTES;
  let interpreter: FilePart | undefined;
  for (let i = 0; i < phdrCount; i++) {
    const at = phoff + i * PHDR_BYTES;
    const kind = view.getUint32(at, true);
    const flags = view.getUint32(at + 4, true);
    if (kind === PT.interp && !interpreter) {
      interpreter = { offset: number(at + 8), lengthBytes: number(at + 32) };
      // With its terminating zero, as Linux has it.
      if (
        interpreter.lengthBytes < 2 || interpreter.lengthBytes > PATH_MAX ||
        interpreter.offset + interpreter.lengthBytes > fileBytes
      ) throw corrupt("the path of its interpreter does not fit the file");
    }
    if (kind === PT.gnuStack) stackIsExecutable = (flags & 1) !== 0;
    if (kind === PT.phdr) phdrVa = number(at + 16);
    if (kind !== PT.load) continue;
    const segment = {
      fileOffset: number(at + 8),
      va: number(at + 16),
      fileBytes: number(at + 32),
      memoryBytes: number(at + 40),
      prot: (flags & 4 ? 1 : 0) | (flags & 2 ? 2 : 0) | (flags & 1 ? 4 : 0),
    };
    const align = number(at + 48);
    if (align > alignBytes && align <= MAX_ALIGN_BYTES && isPower(align)) {
      alignBytes = align;
    }
    const previous = segments.at(-1);
    if (
      segment.fileOffset + segment.fileBytes > fileBytes ||
      segment.memoryBytes < segment.fileBytes ||
      segment.va % 4096 !== segment.fileOffset % 4096 ||
      (previous && previous.va + previous.memoryBytes > segment.va)
    ) throw corrupt(`its segment ${i} does not fit the file`);
    if (segment.memoryBytes > 0) segments.push(segment);
    if (
      phdrVa === 0 && segment.fileOffset <= phoff &&
      phoff < segment.fileOffset + segment.fileBytes
    ) phdrVa = segment.va + phoff - segment.fileOffset;
  }
  if (segments.length === 0) throw corrupt("it has nothing to load");
  return {
    isPie: type === ET.dyn,
    entry: number(24),
    phdrVa,
    phdrCount,
    segments,
    stackIsExecutable,
    alignBytes,
    ...interpreter && { interpreter },
  };
}
