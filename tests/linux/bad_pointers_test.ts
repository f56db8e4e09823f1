/**
 * Wrong pointers and lengths, passed to every system call.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { SYS } from "../../src/linux/syscall_numbers.ts";
import { SYSCALLS } from "../../src/linux/syscalls/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch } from "../support.ts";
import { compareTest, runInVm, runNatively } from "./compare.ts";

/** The table of calls reads a link that it cannot make itself. */
const prepare = (folder: string) => Deno.symlinkSync("f", `${folder}/link`);

compareTest("badptr", "one wrong argument gives the errno it gives on Linux", {
  args: ["args"],
  prepare,
});

/** Calls that end the program, wait for ever, or go on somewhere else. */
const ENDS: readonly number[] = [
  SYS.exit,
  SYS.exit_group,
  SYS.pause,
  SYS.rt_sigreturn,
];

/** Calls that natively reach processes other than the program, or make some. */
const REACHES: readonly number[] = [
  ...[SYS.kill, SYS.tkill, SYS.tgkill],
  ...[SYS.fork, SYS.vfork, SYS.clone],
];

/** Calls that natively make the program another user's, or another kind. */
const CHANGES: readonly number[] = [
  SYS.setuid,
  SYS.setgid,
  SYS.setreuid,
  SYS.setregid,
  SYS.setresuid,
  SYS.setresgid,
  SYS.setfsuid,
  SYS.setfsgid,
  SYS.setgroups,
  SYS.setsid,
  SYS.personality,
];

/** Numbers of all calls that the VM answers for. */
const SUPPORTED = SYSCALLS.flatMap((handler, i) => handler ? [i] : [])
  .filter((number) => !ENDS.includes(number));

/** Calls of which Linux 6.1 and 6.18 look at other things first. */
const ORDER_DIFFERS: readonly number[] = [
  SYS.mremap,
  SYS.setxattr,
  SYS.lsetxattr,
  SYS.fsetxattr,
  SYS.fgetxattr,
  SYS.fremovexattr,
  SYS.epoll_wait,
  SYS.epoll_pwait2,
  SYS.setsockopt,
];

/** Calls on 0, which is another file natively; and what the CPU decides. */
const OTHERS: readonly number[] = [
  SYS.futimesat,
  SYS.utimensat,
  SYS.splice,
  SYS.vmsplice,
  SYS.pkey_alloc,
];

kvmTest(
  "badptr: all arguments wrong give the errno they give on Linux",
  async () => {
    const [program] = await guest("badptr");
    const numbers = SUPPORTED.filter((number) =>
      !REACHES.includes(number) && !CHANGES.includes(number)
    );
    const setting = { args: ["all", "0", ...numbers.map(String)], prepare };
    await using natively = new Scratch();
    await using inVm = new Scratch();
    const expected = await runNatively(program, setting, natively.path);
    const got = await runInVm(program, setting, inVm.path);
    const same = (stdout: string) =>
      stdout.split("\n").filter((line) => {
        const number = Number.parseInt(line);
        return !ORDER_DIFFERS.includes(number) && !OTHERS.includes(number);
      });
    assertEquals(same(got.stdout), same(expected.stdout));
    assertEquals(got.status, 0);
  },
);

kvmTest("badptr: no number with wrong arguments disturbs the VM", async () => {
  const [program] = await guest("badptr");
  const numbers = Array.from({ length: 520 }, (_, i) => i)
    .filter((number) => !ENDS.includes(number));
  await using scratch = new Scratch();
  const setting = { args: ["all", "0", ...numbers.map(String)], prepare };
  const run = await runInVm(program, setting, scratch.path);
  assertEquals(run.status, 0);
  assert(run.stdout.endsWith("end\n"), run.stdout.slice(-200));
  // What the VM does not answer for is not there, whatever it is passed.
  const known = new Set([...SUPPORTED, ...ENDS]);
  const unknown = run.stdout.split("\n").filter((line) => {
    const number = Number.parseInt(line);
    return number >= 0 && !known.has(number);
  });
  assertEquals(unknown.filter((line) => !line.endsWith(": -1 38")), []);
  assertEquals(unknown.length, 7 * (520 - known.size));
});
