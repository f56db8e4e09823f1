/**
 * Options that `vm run` and `vm restore` share.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import {
  type Allowed,
  type DeviceSpec,
  type EndOptions,
  lineTracer,
  loadDevice,
  parseEnd,
  SYSTEM,
  type TlsOptions,
  type Tracer,
  TransportError,
} from "../../mod.ts";
import { UsageError } from "./report.ts";
import { tell, writeLine } from "./text.ts";

/** What was chosen on the command line, for either command. */
export interface SharedOptions {
  /** What the program may reach. */
  readonly allow: Partial<Allowed>;
  /** The folder that is `/` for the program; absent: the host's own. */
  readonly root: string | undefined;
  /** Where a save goes: a path, or a URL. */
  readonly saveTo: string;
  /** Whether a save moves the program to another VMM. */
  readonly moves: boolean;
  /** How ends are connected with. */
  readonly ends: EndOptions;
  /** Go on after a save. */
  readonly continues: boolean;
  /** Pack the memory of an image. */
  readonly compress: boolean;
  /** Put the content of open files into an image. */
  readonly carryFiles: boolean;
  /** How long a device may take to be ready for a save, ms. */
  readonly quiesceTimeoutMs: number | undefined;
  /** Where the trace goes; absent: nowhere. */
  readonly trace: Trace | undefined;
  /** End at the first call that is not supported. */
  readonly strict: boolean;
}

/** A trace, line by line. */
export interface Trace {
  /** Prints a line. */
  readonly print: (line: string) => void;
  /** Prints the program's file operations. */
  readonly tracer: Tracer;
}

/** The options that a command takes, by what they are. */
export interface OptionNames {
  /** On or off. */
  readonly boolean: readonly string[];
  /** With a value. */
  readonly string: readonly string[];
  /** With a value, and more than once. */
  readonly collect?: readonly string[];
}

/** Options of every command. */
const COMMON = ["help", "verbose"];

/** Options that running, restoring and receiving share. */
const BOOLEAN = ["continue", "compress", "carry-files", "trace", "strict"];
const STRING = [
  "allow-read",
  "allow-write",
  "on-save",
  "quiesce-timeout",
  "root",
  "timeout",
  "tls-ca",
  "tls-cert",
  "tls-key",
  "trace-to",
];

const COLLECT = ["device"];

/** The options of each command. */
export const OPTIONS = {
  run: {
    boolean: BOOLEAN,
    string: [...STRING, "memory"],
    collect: [...COLLECT, "env"],
  },
  restore: {
    boolean: [...BOOLEAN, "dry-run"],
    string: [...STRING, "files", "verify"],
    collect: COLLECT,
  },
  receive: {
    boolean: [...BOOLEAN, "forever"],
    string: [...STRING, "count", "files", "memory"],
    collect: COLLECT,
  },
  inspect: { boolean: ["json"], string: [] },
} as const satisfies Record<string, OptionNames>;

/** What a command line says: its options, and what follows them. */
export interface Parsed {
  /** Value by name; for one given more than once, the last. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** The values of options that may be given more than once, in order. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
  /** What is no option. */
  readonly rest: readonly string[];
}

/**
 * Parses a command line up to its first argument that is no option, or up to
 * `--`; the rest is left as it is.
 *
 * @throws {UsageError} for an option that there is not, or without its value
 */
export function parse(args: readonly string[], names: OptionNames): Parsed {
  const boolean = [...COMMON, ...names.boolean];
  const collect = names.collect ?? [];
  const string = [...names.string, ...collect];
  const end = endOfOptions(args, string);
  for (const argument of args.slice(0, end)) {
    const [, name] = /^--([^=]+)=/.exec(argument) ?? [];
    if (boolean.includes(name)) {
      throw new UsageError(`--${name} takes no value`);
    }
  }
  const parsed = parseArgs(args.slice(0, end), {
    boolean,
    string,
    collect,
    unknown: (argument: string) => {
      throw new UsageError(`there is no option ${argument}`);
    },
  });
  const { _, ...found } = parsed;
  const options: Record<string, string | boolean | undefined> = {};
  const lists: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(found)) {
    if (collect.includes(name)) lists[name] = value as string[];
    else options[name] = value as string | boolean;
  }
  for (const name of string) {
    // An empty list of paths is one: nothing is allowed.
    if (options[name] === "" && !name.startsWith("allow-")) {
      throw new UsageError(`--${name} needs a value`);
    }
  }
  return {
    options,
    lists,
    rest: args.slice(args[end] === "--" ? end + 1 : end),
  };
}

/** Whether `--verbose` is among the options, right or wrong. */
export function isVerbose(
  args: readonly string[],
  names: OptionNames,
): boolean {
  const withValue = [...names.string, ...names.collect ?? []];
  return args.slice(0, endOfOptions(args, withValue)).includes("--verbose");
}

/** Index of the first argument that is neither an option nor one's value. */
function endOfOptions(
  args: readonly string[],
  withValue: readonly string[],
): number {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--" || arg === "-" || !arg.startsWith("-")) return i;
    if (withValue.includes(arg.replace(/^--/, ""))) i++;
  }
  return args.length;
}

/** Reads the shared options. @throws {UsageError} */
export function sharedOptions({ options }: Parsed): SharedOptions {
  const allow: { read?: string[]; write?: string[] } = {};
  const root = options.root as string | undefined;
  if (root !== undefined) folderOf("root", root);
  const read = pathsOf("allow-read", options["allow-read"], root);
  const write = pathsOf("allow-write", options["allow-write"], root);
  if (read) allow.read = read;
  if (write) allow.write = write;
  const saveTo = (options["on-save"] as string) ?? "file:vm.img";
  const { scheme } = endOf(saveTo);
  const moves = ["tcp", "tls", "unix"].includes(scheme);
  if (moves && options.continue === true) {
    throw new UsageError(
      `with --on-save=${saveTo} the program goes on there: --continue cannot be`,
    );
  }
  return {
    allow,
    root,
    saveTo: scheme === "file" ? whereItLeads(filePath(saveTo)) : saveTo,
    moves,
    ends: endOptions(options),
    continues: options.continue === true,
    compress: options.compress === true,
    carryFiles: options["carry-files"] === true,
    quiesceTimeoutMs: millisecondsOf("quiesce-timeout", options),
    trace: traceOf(options.trace === true, options["trace-to"] as string),
    strict: options.strict === true,
  };
}

/** Loads the devices that were named, in order. @throws {VmError} */
export async function devicesOf({ lists }: Parsed): Promise<DeviceSpec[]> {
  const devices: DeviceSpec[] = [];
  for (const text of lists.device ?? []) devices.push(await loadDevice(text));
  return devices;
}

/** Checks that an option names a folder. @throws {UsageError} */
function folderOf(name: string, path: string): void {
  let isFolder = false;
  try {
    isFolder = Deno.statSync(path).isDirectory;
  } catch {
    // Then it is none.
  }
  if (!isFolder) {
    throw new UsageError(`--${name} is a folder; ${path} is none`);
  }
}

/** The paths of a list, which must all be there. */
function pathsOf(
  name: string,
  value: string | boolean | undefined,
  root: string | undefined,
): string[] | undefined {
  if (typeof value !== "string") return undefined;
  const paths = value.split(",").filter((path) => path !== "");
  // In another root they are looked for when it is open.
  if (root !== undefined) return paths;
  for (const path of paths) {
    if (path === SYSTEM && name === "allow-read") continue;
    try {
      Deno.statSync(path);
    } catch (cause) {
      const why = cause instanceof Deno.errors.NotFound
        ? "there is no such file or folder"
        : (cause as Error).message;
      throw new UsageError(`cannot allow ${path} with --${name}: ${why}`);
    }
  }
  return paths;
}

/**
 * What the path names where it is a link: found out before the program runs,
 * which could put another link in its place.
 */
function whereItLeads(path: string): string {
  try {
    if (Deno.lstatSync(path).isSymlink) return Deno.realPathSync(path);
  } catch {
    // There is nothing yet, or the save will say what is wrong.
  }
  return path;
}

/** The path in a `file:` URL, or a path as it is. @throws {UsageError} */
function filePath(url: string): string {
  const end = endOf(url);
  return end.scheme === "file" ? end.path : url;
}

/** The end that an option or argument names. @throws {UsageError} */
export function endOf(url: string): ReturnType<typeof parseEnd> {
  try {
    return parseEnd(url);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new UsageError(error.message, error.hint);
  }
}

/** How ends are connected with. @throws {UsageError} */
function endOptions(options: Parsed["options"]): EndOptions {
  const read = (name: string): string | undefined => {
    const path = options[name];
    if (typeof path !== "string") return undefined;
    try {
      return Deno.readTextFileSync(path);
    } catch (cause) {
      throw new UsageError(
        `cannot read ${path} for --${name}: ${(cause as Error).message}`,
      );
    }
  };
  const ca = read("tls-ca");
  const tls: TlsOptions = {
    cert: read("tls-cert"),
    key: read("tls-key"),
    caCerts: ca === undefined ? undefined : [ca],
  };
  return {
    timeoutMs: millisecondsOf("timeout", options),
    tls,
  };
}

/** A time that is given in seconds; absent: undefined. @throws {UsageError} */
function millisecondsOf(
  name: string,
  options: Parsed["options"],
): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (seconds >= 0 && seconds <= 1e6) return seconds * 1000;
  throw new UsageError(`--${name} is a number of seconds, not ${text}`);
}

const UNITS: Record<string, number> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** A size such as 512M, bytes; absent: undefined. @throws {UsageError} */
export function sizeOf(
  text: string | boolean | undefined,
): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+)([KMGT]?)i?B?$/i.exec(`${text}`);
  if (!match) throw new UsageError(`"${text}" is not a size such as 512M`);
  return Number(match[1]) * UNITS[match[2].toUpperCase()];
}

/** The value of an option that takes one of a few; absent: undefined. */
export function oneOf(
  name: string,
  value: string | boolean | undefined,
  values: readonly string[],
): string | undefined {
  if (value === undefined || values.includes(value as string)) {
    return value as string | undefined;
  }
  throw new UsageError(
    `--${name} is one of ${values.join(", ")}, not ${value}`,
  );
}

function traceOf(trace: boolean, to: string | undefined): Trace | undefined {
  if (!trace && to === undefined) return undefined;
  const streams = { stdout: Deno.stdout, stderr: Deno.stderr };
  const name = to ?? "stderr";
  if (name !== "stdout" && name !== "stderr") {
    throw new UsageError(`--trace-to is stdout or stderr, not ${to}`);
  }
  // A reader that left (`| head -1`) must not end the program.
  let isRead = true;
  const print = (line: string) => {
    if (!isRead) return;
    try {
      isRead = writeLine(streams[name], line);
    } catch (error) {
      isRead = false;
      tell(`vm: the trace ends: ${(error as Error).message}`);
    }
  };
  return { print, tracer: lineTracer(print) };
}
