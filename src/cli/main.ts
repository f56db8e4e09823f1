/**
 * The command line: `vm COMMAND`.
 *
 * @module
 */

import { inspectCommand } from "./inspect.ts";
import { isVerbose, OPTIONS } from "./options.ts";
import { report, STATUS, UsageError } from "./report.ts";
import { receiveCommand } from "./receive.ts";
import { restoreCommand } from "./restore.ts";
import { runCommand } from "./run.ts";
import { showUsage, USAGE } from "./usage.ts";
import { tell, writeLine } from "./text.ts";
import { VERSION } from "../../mod.ts";

const COMMANDS = {
  run: runCommand,
  restore: restoreCommand,
  receive: receiveCommand,
  inspect: inspectCommand,
};

function isCommand(name: string): name is keyof typeof COMMANDS {
  return Object.hasOwn(COMMANDS, name);
}

/** Runs one command; returns the exit status. */
export async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-V") {
    writeLine(Deno.stdout, VERSION);
    return STATUS.ok;
  }
  if (name === "--help" || name === "-h" || name === "help") return showUsage();
  if (name === undefined) {
    tell(USAGE);
    return STATUS.usage;
  }
  if (!isCommand(name)) {
    return report(new UsageError(`there is no command "${name}"`), false);
  }
  try {
    return await COMMANDS[name](rest);
  } catch (error) {
    return report(error, isVerbose(rest, OPTIONS[name]));
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
