/**
 * `vm restore`: goes on with a program that was saved.
 *
 * @module
 */

import { type FilesPolicy, type VerifyPolicy, Vm } from "../../mod.ts";
import { devicesOf, OPTIONS, parse, sharedOptions } from "./options.ts";
import { UsageError } from "./report.ts";
import { commonOptions, session } from "./session.ts";
import { Signals } from "./signals.ts";
import { showUsage } from "./usage.ts";

const FILES = ["check", "trust", "rollback", "carry"];
const VERIFY = ["first", "background", "none"];

/** The value of an option that takes one of a few; absent: undefined. */
function oneOf(
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

/** Thaws an image and runs it to its end; the exit status is the program's. */
export async function restoreCommand(args: string[]): Promise<number> {
  const parsed = parse(args, OPTIONS.restore);
  if (parsed.options.help) return showUsage();
  const [image, ...rest] = parsed.rest;
  if (image === undefined || rest.length > 0) {
    throw new UsageError("restore needs one IMAGE");
  }
  const files = oneOf("files", parsed.options.files, FILES);
  const verify = oneOf("verify", parsed.options.verify, VERIFY);
  const shared = sharedOptions(parsed);
  const verbose = parsed.options.verbose === true;
  using signals = new Signals();
  await using vm = await Vm.restore(image, {
    ...commonOptions(shared, verbose),
    devices: await devicesOf(parsed),
    files: files as FilesPolicy | undefined,
    verify: verify as VerifyPolicy | undefined,
  });
  shared.trace?.print("RESTORE OPERATION");
  return await session(vm, shared, verbose, signals);
}
