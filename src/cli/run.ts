/**
 * `vm run`: runs a program.
 *
 * @module
 */

import { Vm } from "../../mod.ts";
import { devicesOf, OPTIONS, parse, sharedOptions, sizeOf } from "./options.ts";
import { UsageError } from "./report.ts";
import { Saves, session } from "./session.ts";
import { Signals } from "./signals.ts";
import { showUsage } from "./usage.ts";

/** Variables of the user's that any program may see. */
const PASSED_ON = ["PATH", "HOME", "LANG", "TERM", "TZ"];

function environmentOf(wanted: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = {};
  const passOn = (name: string) => {
    const value = Deno.env.get(name);
    if (value !== undefined) environment[name] = value;
  };
  PASSED_ON.forEach(passOn);
  for (const word of wanted) {
    const equals = word.indexOf("=");
    if (equals === 0 || word === "") {
      throw new UsageError(`--env=${word} names no variable`);
    }
    if (equals < 0) passOn(word);
    else environment[word.slice(0, equals)] = word.slice(equals + 1);
  }
  return environment;
}

/** Runs a program; the exit status is the program's. */
export async function runCommand(args: string[]): Promise<number> {
  const parsed = parse(args, OPTIONS.run);
  if (parsed.options.help) return showUsage();
  const [program, ...programArgs] = parsed.rest;
  if (program === undefined) throw new UsageError("run needs a PROGRAM");
  const shared = sharedOptions(parsed);
  const saves = new Saves(shared, parsed.options.verbose === true);
  using signals = new Signals();
  await using vm = await Vm.create({
    ...saves.commonOptions(),
    devices: await devicesOf(parsed),
    program,
    args: programArgs,
    environment: environmentOf(parsed.lists.env ?? []),
    memoryBytes: sizeOf(parsed.options.memory),
  });
  return await session(vm, saves, signals);
}
