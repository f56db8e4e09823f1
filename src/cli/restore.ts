/**
 * `vm restore`: goes on with a program that was saved.
 *
 * @module
 */

import {
  type FilesPolicy,
  ImageFile,
  offerOfImage,
  reasonsAgainst,
  type RestoreOptions,
  SIGNAL,
  type VerifyPolicy,
  Vm,
} from "../../mod.ts";
import {
  devicesOf,
  endOf,
  oneOf,
  OPTIONS,
  parse,
  sharedOptions,
} from "./options.ts";
import { STATUS, UsageError } from "./report.ts";
import { Saves, say, session } from "./session.ts";
import { Signals } from "./signals.ts";
import { printable, writeLine } from "./text.ts";
import { showUsage } from "./usage.ts";

/** What may be done about files that are not as they were. */
export const FILES = ["check", "trust", "rollback", "carry"];
const VERIFY = ["first", "background", "none"];

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
  const saves = new Saves(shared, parsed.options.verbose === true);
  const options: RestoreOptions = {
    ...shared.ends,
    ...saves.commonOptions(),
    devices: await devicesOf(parsed),
    files: files as FilesPolicy | undefined,
    verify: verify as VerifyPolicy | undefined,
  };
  if (parsed.options["dry-run"]) return await dryRun(image, options);
  using signals = new Signals();
  await using vm = await Vm.restore(image, options);
  shared.trace?.print("RESTORE OPERATION");
  // Another terminal, of another size, that shows nothing yet: programs that
  // draw on it do so again.
  if (Deno.stdout.isTerminal()) vm.signal(SIGNAL.SIGWINCH);
  return await session(vm, saves, signals);
}

/** Says whether an image could be restored here, with every reason why not. */
async function dryRun(
  path: string,
  options: RestoreOptions,
): Promise<number> {
  const end = endOf(path);
  if (end.scheme !== "file") {
    throw new UsageError(`--dry-run needs a file, not ${end.name}`);
  }
  using image = await ImageFile.open(end.path);
  await image.verifyData();
  const reasons = await reasonsAgainst(offerOfImage(image), options);
  for (const reason of reasons) {
    if (!writeLine(Deno.stdout, printable(reason))) break;
  }
  if (reasons.length > 0) return STATUS.incompatible;
  say(`${path} can be restored here`);
  return STATUS.ok;
}
