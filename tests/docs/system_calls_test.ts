/**
 * docs/linux.md against the handlers of system calls.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { systemCallsText } from "../../docs/linux.ts";
import { SYS, type SyscallName } from "../../src/linux/syscall_numbers.ts";
import { PARTLY, SYSCALLS } from "../../src/linux/syscalls/mod.ts";
import { readText } from "./repository.ts";

Deno.test("linux.md: it is what `deno task syscalls` writes", () => {
  assertEquals(
    readText("docs/linux.md").split("\n"),
    systemCallsText().split("\n"),
  );
});

Deno.test("linux.md: what a call lacks is noted of calls that are there", () => {
  const unknown = Object.keys(PARTLY).filter((name) =>
    !SYSCALLS[SYS[name as SyscallName]]
  );
  assertEquals(unknown, []);
});
