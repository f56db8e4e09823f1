/**
 * docs/linux.md against the handlers of system calls.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { systemCallsText } from "../../docs/linux.ts";
import { SYS, type SyscallName } from "../../src/linux/syscall_numbers.ts";
import {
  type LackingCall,
  PARTLY,
  REFUSED,
  SYSCALLS,
} from "../../src/linux/syscalls/mod.ts";
import { comparedCalls } from "./compared_calls.ts";
import { readText } from "./repository.ts";

Deno.test("linux.md: it is what `deno task syscalls` writes", () => {
  assertEquals(
    readText("docs/linux.md").split("\n"),
    systemCallsText().split("\n"),
  );
});

Deno.test("linux.md: what a call lacks is noted of calls that are there", () => {
  const unknown = Object.keys({ ...PARTLY, ...REFUSED }).filter((name) =>
    !SYSCALLS[SYS[name as SyscallName]]
  );
  assertEquals(unknown, []);
});

Deno.test("linux.md: a call that only ever refuses is not done in part", () => {
  const both = Object.keys(REFUSED).filter((name) => name in PARTLY);
  assertEquals(both, []);
});

Deno.test("linux.md: a call that is done cannot be said to lack something", () => {
  // @ts-expect-error: were it allowed, a table would be typed as one of any call
  const done: LackingCall = "read";
  assertEquals(done in PARTLY || done in REFUSED, false);
});

/** Calls that no program of the tests names, but each makes. */
const UNNAMED = [
  "rt_sigreturn", // every handler that returns
  "rseq", // glibc, when a program or a thread begins
];

Deno.test("linux.md: a call that is done is one that a test compares with Linux", () => {
  const isCompared = comparedCalls();
  const done = Object.keys(SYS).filter((name) =>
    SYSCALLS[SYS[name as SyscallName]] && !(name in PARTLY) &&
    !(name in REFUSED)
  );
  assert(done.length > 100);
  assertEquals(done.filter((name) => !isCompared(name)), UNNAMED);
});

Deno.test("linux.md: a call that lacks what another does: that is noted", () => {
  const others = Object.values(PARTLY).flatMap((text) =>
    text.match(/(?<=^as )[a-z_0-9]+/) ?? []
  );
  assertEquals(others.filter((name) => !(name in PARTLY)), []);
});
