/**
 * Every script of scripts/, run as its first comment says: what it prints, what
 * it leaves behind, and how it ends where it cannot work.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { assertRefused, assertTidy, quoted, run } from "../cli/command.ts";
import { BARE_DEV, inNamespace, NO_NAMESPACE } from "../cli/namespace.ts";
import { repositoryFiles, ROOT } from "../docs/repository.ts";
import { kvmTest } from "../kvm_gate.ts";
import { testUnless } from "../machine.ts";
import { guest, type Outcome, Scratch } from "../support.ts";

/** A run of a script. */
interface ScriptRun {
  readonly name: string;
  /** Chosen so that it does not take long where KVM is emulated. */
  readonly args?: readonly string[];
  /** All that it prints: lines, and expressions for one line or more. */
  readonly prints: readonly (string | RegExp)[];
  /** Whether its lines may come in any order. */
  readonly isUnordered?: boolean;
}

const ENDED = '{ kind: "exited", code: 0 }';

const RUNS: readonly ScriptRun[] = [
  {
    name: "save_and_restore",
    prints: [
      "a VM runs the program:",
      "  OPEN ./ay_caramba 32834 511 - return 3",
      / {2}WRITE 3 7ffd\w+ 16 - return 16\n/,
      / {2}SAVE\(\): an image of \d+ bytes\n/,
      "it ended: saved",
      "another VM goes on from there:",
      / {2}WRITE 3 7ffd\w+ 12 - return 12\n/,
      "  CLOSE 3 - return 0",
      "  EXIT 0",
      "it ended: exited",
      "the file:",
      "before the save",
      "after it...",
    ],
  },
  {
    name: "encrypted_and_signed",
    prints: [
      "below 1000: 168 primes",
      "saved: packed, encrypted and signed",
      "right passphrase: restored",
      "below 2000: 303 primes",
      /wrong passphrase: refused, STAGE_KEY: Cannot decrypt: .*\n/,
      /one bit changed: refused, STAGE_(DAMAGED|TAMPERED): Cannot verify .*\n/,
    ],
  },
  {
    name: "migrate",
    args: ["tcp://127.0.0.1:0", "300000"],
    prints: [
      /(here: below \d+: \d+ primes\n)+/,
      "move: hello, 0 bytes sent",
      "move: preflight, 0 bytes sent",
      "move: transfer, 0 bytes sent",
      /move: prepare, \d+ bytes sent\n/,
      /move: commit, \d+ bytes sent\n/,
      /move: done, \d+ bytes\n/,
      "here: it is saved",
      /(there: below \d+: \d+ primes\n)*/,
      "there: below 300000: 25997 primes",
      `there: ${ENDED}`,
    ],
  },
  {
    name: "checkpoint",
    args: ["50", "1", "600000"],
    prints: [
      /( {2}below \d+: \d+ primes\n|checkpoint \d+\n)*/,
      "  below 600000: 49098 primes",
      // It may be saved once more, between that line and its end.
      /(checkpoint \d+\n)?/,
      /back to \d+\.img: (nothing yet|below \d+: \d+ primes)\n/,
      /( {2}below \d+: \d+ primes\n)*/,
      "same result",
    ],
  },
  {
    name: "fork_many",
    args: ["2", "97", "999999", "1001"],
    isUnordered: true,
    prints: [
      "1001 = 7 * 11 * 13",
      "3 copies, 2 at a time:",
      "97 = 97",
      "999999 = 3 * 3 * 3 * 7 * 11 * 13 * 37",
      "the table is made",
    ],
  },
  {
    name: "custom_stage",
    prints: [
      "below 1000: 168 primes",
      /the image: \d+ bytes, \d\d\.\d % of them zero\n/,
      /packed: \d+ bytes, \d\.\d % of them zero\n/,
      /unpacked: \d+ bytes, \d\d\.\d % of them zero\n/,
      "restored:",
      "below 2000: 303 primes",
    ],
  },
  {
    name: "custom_device",
    args: ["7"],
    prints: [
      "one VM throws, is saved, and goes on:",
      "open: 3",
      "read: 1 2",
      "read: 1 1",
      "save: 0",
      "read: 1 3",
      "read: 1 2",
      "read: 1 2",
      "another is restored from the image:",
      "save: 1",
      "read: 1 3",
      "read: 1 2",
      "read: 1 2",
    ],
  },
  {
    name: "three_hosts",
    prints: [
      "A: below 1000: 168 primes",
      "B: below 2000: 303 primes",
      "C: below 3000: 430 primes",
      "A: it is back",
      "A: below 4000: 550 primes",
      `A: it ended: ${ENDED}`,
    ],
  },
  {
    name: "watch_syscalls",
    prints: [
      "below 1000: 168 primes",
      `it ended: ${ENDED}`,
      /(\d+ \w+( \(\d+ failed\))?\n)*/,
      "1 write",
      /(\d+ \w+( \(\d+ failed\))?\n)*/,
    ],
  },
];

/** The command of a script, in an environment where `changed` differs. */
function words(
  name: string,
  changed: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): string[] {
  const environment = Object.entries(changed).map(([key, to]) =>
    `${key}=${to}`
  );
  const script = `${ROOT}/scripts/${name}.ts`;
  const command = [Deno.execPath(), "run", "-A", script, ...args];
  return ["env", ...environment, ...command];
}

/** One expression for all that a script prints. */
function expected(prints: ScriptRun["prints"]): RegExp {
  const parts = prints.map((part) =>
    typeof part === "string"
      ? `${part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\n`
      : part.source
  );
  return new RegExp(`^${parts.join("")}$`);
}

function sorted(text: string): string {
  return text.split("\n").slice(0, -1).sort().map((line) => `${line}\n`)
    .join("");
}

/** Asserts that it ended with status 1, and said why in one line. */
function assertExplains(outcome: Outcome, why: RegExp): void {
  assertEquals(outcome.status, 1, outcome.stderr);
  assertTidy(outcome.stderr);
  assertMatch(outcome.stderr, why);
}

for (const { name, args, prints, isUnordered } of RUNS) {
  kvmTest(`scripts: ${name} does what it shows`, async () => {
    await using scratch = new Scratch();
    const command = words(name, { TMPDIR: scratch.path }, args);
    const { status, stdout, stderr } = await run(command, {
      cwd: scratch.path,
    });
    assertEquals({ status, stderr }, { status: 0, stderr: "" });
    assertMatch(isUnordered ? sorted(stdout) : stdout, expected(prints));
    assertEquals([...Deno.readDirSync(scratch.path)], [], "files are left");
  });

  Deno.test(`scripts: ${name} says it when there is no C compiler`, async () => {
    await using scratch = new Scratch();
    const command = words(name, { TMPDIR: scratch.path, PATH: scratch.path });
    assertRefused(
      await run(command),
      1,
      /^vm: Cannot build guest programs: no C compiler; install gcc/,
    );
    assertEquals([...Deno.readDirSync(scratch.path)], [], "files are left");
  });

  const what = `scripts: ${name} says it when there is no /dev/kvm`;
  testUnless(NO_NAMESPACE, what, async () => {
    await guest("app", "device", "factors", "primes");
    await using scratch = new Scratch();
    const command = words(name, { TMPDIR: scratch.path }).map(quoted).join(" ");
    const outcome = await inNamespace(BARE_DEV, command);
    assertExplains(outcome, /^vm: Cannot open \/dev\/kvm: ENOENT$/m);
    assertEquals([...Deno.readDirSync(scratch.path)], [], "files are left");
  });
}

Deno.test("scripts: each is run by a test", () => {
  const scripts = repositoryFiles("scripts")
    .map((path) => path.replace(/^scripts\/(.*)\.ts$/, "$1"))
    .filter((name) => name !== "demo"); // it has a test of its own
  assertEquals(RUNS.map(({ name }) => name).sort(), scripts);
});

Deno.test("scripts: arguments that make no sense are a usage line and status 2", async () => {
  await using scratch = new Scratch();
  for (
    const [name, ...args] of [
      ["checkpoint", "50", "0", "100000"],
      ["custom_device", "x"],
      ["fork_many", "0", "5"],
      ["migrate", "http://x", "1000"],
      ["three_hosts", "foo"],
    ]
  ) {
    const outcome = await run([
      ...words(name, { TMPDIR: scratch.path }),
      ...args,
    ]);
    assertEquals([outcome.status, outcome.stdout], [2, ""]);
    assertMatch(outcome.stderr, new RegExp(`^usage: ${name}\\.ts .*\n$`));
  }
  assertEquals([...Deno.readDirSync(scratch.path)], []);
});
