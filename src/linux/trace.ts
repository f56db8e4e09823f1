/**
 * The trace: a line for each file operation, in the lab's form.
 *
 * @module
 */

import { O, pathText } from "../devices/mod.ts";
import { printable } from "../state/mod.ts";
import { SYS } from "./syscall_numbers.ts";

/** The six arguments of a system call, from 0. */
export interface CallArguments {
  /** Argument `i` as a C int. */
  int(i: number): number;
  /** Argument `i` as an address or a length; 2^53 - 1 when it is above. */
  u64(i: number): number;
  /** Argument `i`, all 64 bits. */
  big(i: number): bigint;
}

/** What a tracer may look at of the program that made a call. */
export interface TracedProgram {
  /** Its memory. */
  readonly user: {
    /** The zero-terminated bytes at `va`, or a negative errno. */
    readString(va: number): Uint8Array | number;
  };
}

/** Follows what a program does. */
export interface Tracer {
  /**
   * A system call has finished; not called while it waits.
   *
   * @param number of the call (asm/unistd_64.h), for {@linkcode syscallName}
   * @param args its arguments; valid until this returns
   * @param result zero or more, a negative errno, or `undefined` for a call
   * that ended the program
   * @param program whose call it is
   */
  syscall(
    number: number,
    args: CallArguments,
    result: number | undefined,
    program: TracedProgram,
  ): void;
}

/** How to show an argument, by position: number, address, length, path. */
type Show = "int" | "address" | "length" | "offset" | "path" | "flags";

/** The calls that are traced: the name to show, and what of their arguments. */
const TRACED: Record<number, readonly [name: string, ...[number, Show][]]> = {
  [SYS.open]: ["OPEN", [0, "path"], [1, "flags"], [2, "int"]],
  [SYS.openat]: ["OPEN", [1, "path"], [2, "flags"], [3, "int"]],
  [SYS.creat]: ["CREAT", [0, "path"], [1, "int"]],
  [SYS.close]: ["CLOSE", [0, "int"]],
  [SYS.read]: ["READ", [0, "int"], [1, "address"], [2, "length"]],
  [SYS.write]: ["WRITE", [0, "int"], [1, "address"], [2, "length"]],
  [SYS.readv]: ["READV", [0, "int"], [1, "address"], [2, "length"]],
  [SYS.writev]: ["WRITEV", [0, "int"], [1, "address"], [2, "length"]],
  [SYS.preadv]: ["PREADV", [0, "int"], [1, "address"], [2, "length"], [
    3,
    "offset",
  ]],
  [SYS.pwritev]: ["PWRITEV", [0, "int"], [1, "address"], [2, "length"], [
    3,
    "offset",
  ]],
  [SYS.pread64]: ["PREAD", [0, "int"], [1, "address"], [2, "length"], [
    3,
    "offset",
  ]],
  [SYS.pwrite64]: ["PWRITE", [0, "int"], [1, "address"], [2, "length"], [
    3,
    "offset",
  ]],
  [SYS.lseek]: ["LSEEK", [0, "int"], [1, "offset"], [2, "int"]],
  [SYS.dup]: ["DUP", [0, "int"]],
  [SYS.dup2]: ["DUP2", [0, "int"], [1, "int"]],
  [SYS.dup3]: ["DUP3", [0, "int"], [1, "int"], [2, "int"]],
  [SYS.fcntl]: ["FCNTL", [0, "int"], [1, "int"], [2, "length"]],
  [SYS.ioctl]: ["IOCTL", [0, "int"], [1, "int"], [2, "address"]],
  [SYS.stat]: ["STAT", [0, "path"], [1, "address"]],
  [SYS.lstat]: ["LSTAT", [0, "path"], [1, "address"]],
  [SYS.fstat]: ["FSTAT", [0, "int"], [1, "address"]],
  [SYS.newfstatat]: ["FSTATAT", [0, "int"], [1, "path"], [2, "address"], [
    3,
    "int",
  ]],
  [SYS.statx]: ["STATX", [0, "int"], [1, "path"], [2, "int"], [3, "int"], [
    4,
    "address",
  ]],
  [SYS.getdents64]: ["GETDENTS", [0, "int"], [1, "address"], [2, "length"]],
  [SYS.unlink]: ["UNLINK", [0, "path"]],
  [SYS.unlinkat]: ["UNLINK", [1, "path"], [2, "int"]],
  [SYS.mkdir]: ["MKDIR", [0, "path"], [1, "int"]],
  [SYS.mkdirat]: ["MKDIR", [1, "path"], [2, "int"]],
  [SYS.rmdir]: ["RMDIR", [0, "path"]],
  [SYS.rename]: ["RENAME", [0, "path"], [1, "path"]],
  [SYS.renameat]: ["RENAME", [1, "path"], [3, "path"]],
  [SYS.renameat2]: ["RENAME", [1, "path"], [3, "path"], [4, "int"]],
  [SYS.readlink]: ["READLINK", [0, "path"], [1, "address"], [2, "length"]],
  [SYS.readlinkat]: ["READLINK", [1, "path"], [2, "address"], [3, "length"]],
  [SYS.symlink]: ["SYMLINK", [0, "path"], [1, "path"]],
  [SYS.symlinkat]: ["SYMLINK", [0, "path"], [2, "path"]],
  [SYS.link]: ["LINK", [0, "path"], [1, "path"]],
  [SYS.linkat]: ["LINK", [1, "path"], [3, "path"], [4, "int"]],
  [SYS.access]: ["ACCESS", [0, "path"], [1, "int"]],
  [SYS.faccessat]: ["ACCESS", [1, "path"], [2, "int"]],
  [SYS.faccessat2]: ["ACCESS", [1, "path"], [2, "int"]],
  [SYS.getcwd]: ["GETCWD", [0, "address"], [1, "length"]],
  [SYS.chdir]: ["CHDIR", [0, "path"]],
  [SYS.fchdir]: ["FCHDIR", [0, "int"]],
  [SYS.truncate]: ["TRUNCATE", [0, "path"], [1, "offset"]],
  [SYS.ftruncate]: ["FTRUNCATE", [0, "int"], [1, "offset"]],
  [SYS.fsync]: ["FSYNC", [0, "int"]],
  [SYS.fdatasync]: ["FDATASYNC", [0, "int"]],
  [SYS.pipe]: ["PIPE", [0, "address"]],
  [SYS.pipe2]: ["PIPE", [0, "address"], [1, "int"]],
  [SYS.exit]: ["EXIT", [0, "int"]],
  [SYS.exit_group]: ["EXIT", [0, "int"]],
};

/** A tracer that hands each line, without its end, to `print`. */
export function lineTracer(print: (line: string) => void): Tracer {
  return {
    syscall(number, args, result, program) {
      const traced = TRACED[number];
      if (!traced) return;
      const [name, ...shows] = traced;
      const words = shows.map(([i, show]) => shown(program, args, i, show));
      // libc looks itself up as it starts: no file is touched.
      if (words[0] === "/proc/self/exe") return;
      // A call that ends the program returns nothing.
      const end = result === undefined ? "" : ` - return ${result}`;
      print(`${[name, ...words].join(" ")}${end}`);
    },
  };
}

function shown(
  program: TracedProgram,
  args: CallArguments,
  i: number,
  show: Show,
): string {
  switch (show) {
    case "int":
      return `${args.int(i)}`;
    case "address":
      return args.big(i).toString(16);
    case "length":
      return `${args.big(i)}`;
    case "offset":
      return `${BigInt.asIntN(64, args.big(i))}`;
    case "flags":
      // As Linux sees them: for a 64-bit program O_LARGEFILE is always on.
      return `${args.int(i) | O.largeFile}`;
    case "path": {
      const bytes = program.user.readString(args.u64(i));
      if (typeof bytes === "number") return args.big(i).toString(16);
      const path = String.fromCharCode(...bytes);
      return path === "" ? '""' : printable(pathText(path) ?? path);
    }
  }
}
