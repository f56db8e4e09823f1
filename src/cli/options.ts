/**
 * Options that `vm run` and `vm restore` share.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import {
  type Allowed,
  type DeviceSpec,
  lineTracer,
  loadDevice,
  type Tracer,
} from "../../mod.ts";
import { UsageError } from "./report.ts";
import { tell, writeLine } from "./text.ts";

/** What was chosen on the command line, for either command. */
export interface SharedOptions {
  /** What the program may reach. */
  readonly allow: Partial<Allowed>;
  /** The file that a save goes to. */
  readonly savePath: string;
  /** Go on after a save. */
  readonly continues: boolean;
  /** Pack the memory of an image. */
  readonly compress: boolean;
  /** Put the content of open files into an image. */
  readonly carryFiles: boolean;
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

/** Options that running and restoring share. */
const BOOLEAN = ["continue", "compress", "carry-files", "trace", "strict"];
const STRING = ["allow-read", "allow-write", "on-save", "trace-to"];
const COLLECT = ["device"];

/** The options of each command. */
export const OPTIONS = {
  run: {
    boolean: BOOLEAN,
    string: [...STRING, "memory"],
    collect: [...COLLECT, "env"],
  },
  restore: {
    boolean: BOOLEAN,
    string: [...STRING, "files", "verify"],
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
  const read = pathsOf("allow-read", options["allow-read"]);
  const write = pathsOf("allow-write", options["allow-write"]);
  if (read) allow.read = read;
  if (write) allow.write = write;
  return {
    allow,
    savePath: whereItLeads(
      filePath((options["on-save"] as string) ?? "file:vm.img"),
    ),
    continues: options.continue === true,
    compress: options.compress === true,
    carryFiles: options["carry-files"] === true,
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

/** The paths of a list, which must all be there. */
function pathsOf(
  name: string,
  value: string | boolean | undefined,
): string[] | undefined {
  if (typeof value !== "string") return undefined;
  const paths = value.split(",").filter((path) => path !== "");
  for (const path of paths) {
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

/** The path in a `file:` URL, or a path as it is. */
function filePath(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1];
  if (scheme === undefined) return url;
  if (scheme.toLowerCase() !== "file") {
    throw new UsageError(
      `cannot save to ${url}: the scheme must be file, not ${scheme}`,
    );
  }
  const rest = url.slice("file:".length);
  if (!rest.startsWith("//")) {
    if (rest !== "") return rest;
    throw new UsageError(`cannot save to ${url}: it names no file`);
  }
  try {
    const { hostname, pathname } = new URL(url);
    const path = decodeURIComponent(pathname);
    if (hostname === "" && !path.includes("\0")) return path;
  } catch {
    // Said below, in our own words.
  }
  throw new UsageError(
    `cannot save to ${url}: it is no URL of a file here, such as file:///tmp/vm.img`,
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
