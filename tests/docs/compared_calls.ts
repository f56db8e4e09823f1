/**
 * Which system calls the tests compare with Linux.
 *
 * @module
 */

import { readText, repositoryFiles } from "./repository.ts";

/** What a test has that runs a program both ways. */
const COMPARES = /\b(compareTest|compare|native|runNatively)\(/;

/** Tests that run programs natively for something else. */
const OTHERS = ["tests/linux/escape_test.ts", "tests/hostile/hostile_test.ts"];

/** Calls that glibc (2.36) makes another one for, under their name, or none. */
const INDIRECT = new Set([
  ...["eventfd", "exit", "fstat", "getrlimit", "gettimeofday", "lstat"],
  ...["nanosleep", "open", "pipe", "select", "signalfd", "stat", "time"],
]);

/** Calls that glibc makes under another name. */
const ALIASES: Record<string, string> = {
  rt_sigaction: "sigaction",
  rt_sigpending: "sigpending",
  rt_sigprocmask: "sigprocmask",
  rt_sigqueueinfo: "sigqueue",
  rt_sigsuspend: "sigsuspend",
  rt_sigtimedwait: "sigtimedwait",
};

/** Whether a test has a program's name, alone or as the key of a table. */
function isNamed(text: string, name: string): boolean {
  return new RegExp(`"${name}"|^  ${name}: \\{`, "m").test(text);
}

/** Guest programs that tests run natively and in a VM. */
function comparedPrograms(): string[] {
  const programs = repositoryFiles("guest/tests")
    .flatMap((path) => /([a-z_0-9]+)\.c$/.exec(path)?.[1] ?? []);
  const texts = repositoryFiles("tests")
    .filter((path) => path.endsWith("_test.ts") && !OTHERS.includes(path))
    .map(readText)
    .filter((text) => COMPARES.test(text));
  return programs.filter((name) => texts.some((t) => isNamed(t, name)));
}

/** A program's source, and what of guest/tests it includes. */
function sourceOf(file: string): string {
  const text = readText(`guest/tests/${file}`);
  const included = [...text.matchAll(/^#include "(.*)"$/gm)]
    // What sequence.c can do is no more than what it is told to.
    .filter(([, name]) => name !== "sequence_calls.h")
    .flatMap(([, name]) => {
      try {
        return sourceOf(name);
      } catch {
        return []; // of another folder
      }
    });
  return [text, ...included].join("\n");
}

/** Says of a call whether some test compares what it does with Linux. */
export function comparedCalls(): (name: string) => boolean {
  const sources = comparedPrograms()
    .map((name) => sourceOf(`${name}.c`)).join("\n");
  const sequences = readText("tests/sequences/calls.ts");
  return (name) =>
    new RegExp(`\\bSYS_${name}\\b`).test(sources) ||
    sequences.includes(`"${name}"`) ||
    !INDIRECT.has(name) &&
      new RegExp(`\\b(?:${name}|${ALIASES[name] ?? name})\\(`).test(sources);
}
