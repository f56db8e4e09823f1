/**
 * Faults and signals that end the program, as on Linux.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { signalName } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, Scratch, vm } from "../support.ts";
import { compareTest } from "./compare.ts";

/** Ways in which guest/tests/fault.c ends, and the address that it uses. */
const WAYS: [how: string, address?: string][] = [
  ["null", "0x0"],
  ["wild", "0x123456789000"],
  ["noncanonical", "0x0"],
  ["kernel-read", "0xffff800000003000"],
  ["top-read", "0xfffffffffffffff8"],
  ["pagetable-write", "0xffff800000002000"],
  ["stub-write", "0x7ffffffff000"],
  ["write-ro"],
  ["read-none"],
  ["after-munmap"],
  ["exec-nx"],
  ["div0"],
  ["ud2"],
  ["int3"],
  ["hlt"],
  ["cli"],
  ["in"],
  ["out"],
  ["forge-syscall"],
  ["forge-fault"],
  ["forge-string"],
  ["stack-overflow"],
  ["abort"],
];

/** What the command line says when a program was ended by a signal. */
const MESSAGE =
  /^vm: the program was ended by (SIG[A-Z]+) \([^)]+\)(?: at address (0x[0-9a-f]+))?, RIP (0x[0-9a-f]+)$/m;

for (const [how, address] of WAYS) {
  compareTest(
    "fault",
    `${how} ends the program with the status it has on Linux`,
    {
      args: [how],
    },
  );

  kvmTest(
    `fault: ${how} is reported with signal, address and RIP`,
    async () => {
      const [program] = await guest("fault");
      await using scratch = new Scratch();
      const expected = await native(program, [how], scratch.path);
      const got = await vm(["run", program, how], scratch.path);
      assertEquals(got.status, expected.status);
      assert(got.status > 128, `it ended with status ${got.status}`);
      assertMatch(got.stderr, MESSAGE);
      const [, signal, at, rip] = MESSAGE.exec(got.stderr)!;
      assertEquals(signal, signalName(got.status - 128));
      if (address) assertEquals(at, address);
      // Where the program's own code is; or the page that it jumped to.
      const code = Number(rip) >= 0x40_0000 && Number(rip) < 0x80_0000;
      assert(code || (how === "exec-nx" && rip === at), `RIP is ${rip}`);
    },
  );
}

kvmTest("fault: SIGPIPE is reported too", async () => {
  const [program] = await guest("pipes");
  await using scratch = new Scratch();
  const { status, stderr } = await vm(
    ["run", program, "sigpipe"],
    scratch.path,
  );
  assertEquals(status, 128 + 13);
  assertMatch(stderr, /ended by SIGPIPE \(broken pipe\), RIP 0x[0-9a-f]+$/m);
});
