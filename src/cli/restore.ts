/**
 * `vm restore`: goes on with a program that was saved.
 *
 * @module
 */

import { type FilesPolicy, Vm } from "../../mod.ts";
import { OPTIONS, parse, sharedOptions } from "./options.ts";
import { UsageError } from "./report.ts";
import { commonOptions, session } from "./session.ts";
import { showUsage } from "./usage.ts";

const POLICIES = ["check", "trust", "rollback", "carry"];

/** Thaws an image and runs it to its end; the exit status is the program's. */
export async function restoreCommand(args: string[]): Promise<number> {
  const parsed = parse(args, OPTIONS.restore);
  if (parsed.options.help) return showUsage();
  const [image, ...rest] = parsed.rest;
  if (image === undefined || rest.length > 0) {
    throw new UsageError("restore needs one IMAGE");
  }
  const files = (parsed.options.files ?? "check") as string;
  if (!POLICIES.includes(files)) {
    throw new UsageError(
      `--files is one of ${POLICIES.join(", ")}, not ${files}`,
    );
  }
  const shared = sharedOptions(parsed);
  const verbose = parsed.options.verbose === true;
  await using vm = await Vm.restore(image, {
    ...commonOptions(shared, verbose),
    files: files as FilesPolicy,
  });
  shared.trace?.print("RESTORE OPERATION");
  return await session(vm, shared, verbose);
}
