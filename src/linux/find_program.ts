/**
 * Finding a program as a shell does, and what runs a script.
 *
 * @module
 */

import {
  close,
  faccessat2,
  fstat,
  O,
  pathOf,
  type RootFolder,
  S_IF,
} from "../devices/mod.ts";
import { ERRNO } from "../kvm/mod.ts";
import { ProgramError } from "./errors.ts";
import { ProgramFile, type ProgramOpener, shown } from "./program_file.ts";
import {
  isScript,
  MAX_SCRIPTS,
  readScriptLine,
  SCRIPT_HEAD_BYTES,
} from "./script_line.ts";

/** Where programs are looked for when nothing is said (paths.h's _PATH_STDPATH). */
const DEFAULT_PATH = "/usr/bin:/bin:/usr/sbin:/sbin";

/** The right to execute (unistd.h), and fcntl.h's AT_EMPTY_PATH. */
const X_OK = 1;
const AT_EMPTY_PATH = 0x1000;

/** Where a program is looked for. */
export interface Search {
  /** The program's root. */
  readonly root: RootFolder;
  /** Where relative paths begin, a character a byte. */
  readonly cwd: string;
  /** Folders to look in, by colons; default: the system's. */
  readonly path?: string;
}

/**
 * The path of a program: of a name without a slash, the first file on the search
 * path that may be executed; where there is none, the name itself, in the
 * current folder.
 */
export function findProgram(name: string, search: Search): string {
  if (name === "" || name.includes("/")) return name;
  for (const folder of (search.path ?? DEFAULT_PATH).split(":")) {
    const path = folder === "" ? `./${name}` : `${folder}/${name}`;
    if (mayExecute(path, search)) return path;
  }
  return name;
}

function mayExecute(path: string, { root, cwd }: Search): boolean {
  const full = path.startsWith("/") ? pathOf(path) : `${cwd}/${pathOf(path)}`;
  const fd = root.open(full, O.path);
  if (fd < 0) return false;
  const stat = new DataView(new ArrayBuffer(144));
  fstat(fd, new Uint8Array(stat.buffer));
  const isFile = (stat.getUint32(24, true) & S_IF.mask) === S_IF.regular;
  const may = isFile && faccessat2(fd, "", X_OK, AT_EMPTY_PATH) === 0;
  close(fd);
  return may;
}

/** What opens programs, and where relative paths begin. */
export interface Opening {
  /** What opens them. */
  readonly root: ProgramOpener;
  /** Where relative paths begin, a character a byte. */
  readonly cwd: string;
}

/** A word of a program's arguments or environment: text, or its bytes. */
export type Word = string | Uint8Array;

/** A program that is no script, and what it is started with. */
export interface Executable {
  /** Its file, for the caller to close. */
  readonly file: ProgramFile;
  /** Its arguments, its own name first. */
  readonly argv: readonly Word[];
  /** The scripts that led to it, the first one first. */
  readonly scripts: readonly string[];
}

/**
 * Opens a program; of a script, the program that runs it, with its arguments as
 * execve(2) makes them.
 *
 * @throws {ProgramError} when there is none
 */
export function openExecutable(
  path: string,
  argv: readonly Word[],
  { root, cwd }: Opening,
): Executable {
  const scripts: string[] = [];
  let words = argv;
  for (let at = path;;) {
    const file = openNext(root, at, cwd, scripts);
    try {
      const head = file.read(0, Math.min(file.sizeBytes, SCRIPT_HEAD_BYTES));
      if (!isScript(head)) return { file, argv: words, scripts };
      const line = lineOf(at, head);
      scripts.push(at);
      if (scripts.length > MAX_SCRIPTS) {
        throw new ProgramError(
          "PROGRAM_INTERPRETER",
          `Cannot run ${path}: its interpreter is a script for a script, and so on, more than ${MAX_SCRIPTS} times`,
          { errno: ERRNO.ELOOP },
        );
      }
      const { interpreter, argument } = line;
      const given = argument === undefined ? [] : [argument];
      words = [interpreter, ...given, at, ...words.slice(1)];
      at = interpreter;
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
    file[Symbol.dispose]();
  }
}

function openNext(
  root: ProgramOpener,
  path: string,
  cwd: string,
  scripts: readonly string[],
): ProgramFile {
  const script = scripts.at(-1);
  return script === undefined
    ? new ProgramFile(root, path, cwd)
    : openInterpreter(root, path, cwd, script);
}

/**
 * Opens the interpreter that a file names.
 *
 * @param of the file
 * @throws {ProgramError} naming both
 */
export function openInterpreter(
  root: ProgramOpener,
  path: string,
  cwd: string,
  of: string,
): ProgramFile {
  try {
    return new ProgramFile(root, path, cwd);
  } catch (cause) {
    if (!(cause instanceof ProgramError)) throw cause;
    const why = cause.message.slice(cause.message.indexOf(": ") + 2);
    throw new ProgramError(
      "PROGRAM_INTERPRETER",
      `Cannot run ${of}: its interpreter ${shown(path)} cannot be opened: ${
        shown(why)
      }`,
      { cause },
    );
  }
}

function lineOf(path: string, head: Uint8Array) {
  const refuse = (why: string, cause?: unknown) =>
    new ProgramError("PROGRAM_INTERPRETER", `Cannot run ${path}: ${why}`, {
      cause,
    });
  let line;
  try {
    line = readScriptLine(head);
  } catch (cause) {
    throw refuse("its first line is not UTF-8", cause);
  }
  if (!line) throw refuse('its first line names no interpreter behind "#!"');
  return line;
}
