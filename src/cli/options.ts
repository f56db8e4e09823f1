/**
 * Options that `vm run` and `vm restore` share.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { type Allowed, lineTracer, type Tracer } from "../../mod.ts";
import { UsageError } from "./report.ts";

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

const BOOLEAN = [
  "continue",
  "compress",
  "carry-files",
  "trace",
  "strict",
  "verbose",
  "help",
  "json",
];
const STRING = ["allow-read", "allow-write", "on-save", "trace-to"];

/** What a command line says: its options, and what follows them. */
export interface Parsed {
  /** Value by name; for one given more than once, the last. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** The values of `--env`, in order. */
  readonly environment: readonly string[];
  /** What is no option. */
  readonly rest: readonly string[];
}

/**
 * Parses a command line up to its first argument that is no option.
 *
 * @param more options with a value that this command has besides the shared
 * @throws {UsageError} for an option that there is not
 */
export function parse(args: string[], more: readonly string[]): Parsed {
  const unknown: string[] = [];
  const parsed = parseArgs(args, {
    boolean: BOOLEAN,
    string: [...STRING, ...more],
    collect: ["env"],
    stopEarly: true,
    unknown: (name: string) => {
      if (name.startsWith("-") && name !== "-") unknown.push(name);
      return true;
    },
  });
  if (unknown.length > 0) throw new UsageError(`there is no option ${unknown[0]}`);
  const { _: rest, env, ...options } = parsed;
  return {
    options: options as Parsed["options"],
    environment: (env ?? []) as string[],
    rest: rest.map(String),
  };
}

/** Reads the shared options. @throws {UsageError} */
export function sharedOptions({ options }: Parsed): SharedOptions {
  const paths = (name: string) => {
    const value = options[name];
    return typeof value === "string" ? value.split(",") : undefined;
  };
  const allow: { read?: string[]; write?: string[] } = {};
  const read = paths("allow-read");
  const write = paths("allow-write");
  if (read) allow.read = read;
  if (write) allow.write = write;
  return {
    allow,
    savePath: filePath((options["on-save"] as string) ?? "file:vm.img"),
    continues: options.continue === true,
    compress: options.compress === true,
    carryFiles: options["carry-files"] === true,
    trace: traceOf(options.trace === true, options["trace-to"] as string),
    strict: options.strict === true,
  };
}

/** The path in a `file:` URL, or a path as it is. */
function filePath(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1];
  if (scheme === undefined) return url;
  if (scheme !== "file") {
    throw new UsageError(
      `cannot save to ${url}: the scheme must be file, not ${scheme}`,
    );
  }
  return url.startsWith("file://")
    ? decodeURIComponent(new URL(url).pathname)
    : url.slice("file:".length);
}

function traceOf(trace: boolean, to: string | undefined): Trace | undefined {
  if (!trace && to === undefined) return undefined;
  const streams: Record<string, { writeSync(bytes: Uint8Array): number }> = {
    stdout: Deno.stdout,
    stderr: Deno.stderr,
  };
  const stream = streams[to ?? "stderr"];
  if (!stream) throw new UsageError(`--trace-to is stdout or stderr, not ${to}`);
  const encoder = new TextEncoder();
  const print = (line: string) => {
    const bytes = encoder.encode(`${line}\n`);
    for (let done = 0; done < bytes.length;) {
      done += stream.writeSync(bytes.subarray(done));
    }
  };
  return { print, tracer: lineTracer(print) };
}
