/**
 * The command line's options, help and messages.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, vm } from "../support.ts";
import {
  assertRefused,
  assertTidy,
  run,
  shell,
  vmText,
  vmWords,
} from "./command.ts";
import {
  putTogether,
  saveTiny,
  takeApart,
  type Value,
  valueOf,
} from "./hostile_image.ts";

Deno.test("vm --help: help is on stdout with status 0, for each command", async () => {
  for (
    const args of [
      ["--help"],
      ["-h"],
      ["help"],
      ["run", "--help"],
      [
        "restore",
        "--help",
      ],
      ["inspect", "--help"],
      ["run", "--trace", "--help", "prog"],
    ]
  ) {
    const { stdout, stderr, status } = await vm(args);
    assertEquals({ stderr, status }, { stderr: "", status: 0 });
    assertMatch(stdout, /^vm \d+\.\d+\.\d+: run a Linux program in a VM/);
    assertStringIncludes(stdout, "--files=POLICY");
  }
  const version = await vm(["--version"]);
  assertMatch(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assertEquals(version.status, 0);
});

Deno.test("vm: without a command it says how to use it, with status 2", async () => {
  const { stdout, stderr, status } = await vm([]);
  assertEquals({ stdout, status }, { stdout: "", status: 2 });
  assertMatch(stderr, /^vm \d+\.\d+\.\d+: run a Linux program/);
});

/** Command lines that are wrong, and what is said of them. */
const WRONG: [args: string[], message: RegExp][] = [
  [["bogus"], /there is no command "bogus"$/m],
  [["constructor"], /there is no command "constructor"$/m],
  [["--trace"], /there is no command "--trace"$/m],
  [["run"], /run needs a PROGRAM$/m],
  [["run", "--"], /run needs a PROGRAM$/m],
  [["run", "--bogus", "prog"], /there is no option --bogus$/m],
  [["run", "-x", "prog"], /there is no option -x$/m],
  [["run", "--no-trace", "prog"], /there is no option --no-trace$/m],
  [["run", "--files=check", "prog"], /there is no option --files=check$/m],
  [["run", "--json", "prog"], /there is no option --json$/m],
  [["run", "--trace=false", "prog"], /--trace takes no value$/m],
  [["restore", "--continue=no", "a"], /--continue takes no value$/m],
  [["run", "--memory=", "prog"], /--memory needs a value$/m],
  [["run", "--memory"], /--memory needs a value$/m],
  [["run", "--memory=abc", "prog"], /"abc" is not a size such as 512M$/m],
  [["run", "--memory=-5", "prog"], /"-5" is not a size/m],
  [["run", "--memory", "-5", "prog"], /there is no option -5$/m],
  [["run", "--memory=1.5G", "prog"], /"1.5G" is not a size/m],
  [["run", "--memory=0x10", "prog"], /"0x10" is not a size/m],
  [["run", "--memory=0", "prog"], /Cannot give the VM 0 bytes of memory/m],
  [["run", "--memory=1", "prog"], /Cannot give the VM 1 bytes of memory/m],
  [["run", "--memory=3M", "prog"], /must be a multiple of 2 MiB/m],
  [["run", "--memory=2M", "prog"], /from 4 MiB to 256 GiB$/m],
  [["run", "--memory=99999T", "prog"], /from 4 MiB to 256 GiB$/m],
  [
    ["run", "--memory=" + "9".repeat(400), "prog"],
    /Cannot give the VM Infinity/m,
  ],
  [["run", "--env=", "prog"], /--env needs a value|--env= names no variable/m],
  [["run", "--env==x", "prog"], /--env==x names no variable$/m],
  [
    ["run", "--trace-to=file", "prog"],
    /--trace-to is stdout or stderr, not file$/m,
  ],
  [["run", "--on-save=tcp://x", "prog"], /the scheme must be file, not tcp$/m],
  [["run", "--on-save=file:///%zz", "prog"], /it is no URL of a file here/m],
  [["run", "--on-save=file://host/x", "prog"], /it is no URL of a file here/m],
  [["run", "--on-save=file:", "prog"], /it names no file$/m],
  [
    ["run", "--allow-read=/none", "prog"],
    /cannot allow \/none with --allow-read: there is no such file or folder$/m,
  ],
  [["restore"], /restore needs one IMAGE$/m],
  [["restore", "a", "b"], /restore needs one IMAGE$/m],
  [["restore", "--memory=1G", "a"], /there is no option --memory=1G$/m],
  [
    ["restore", "--files=maybe", "a"],
    /--files is one of check, trust, rollback, carry, not maybe$/m,
  ],
  [
    ["receive", "--forever", "--count=2", "tcp://127.0.0.1:0"],
    /--forever is without --count$/m,
  ],
  [
    ["receive", "tls://127.0.0.1:0"],
    /takes a certificate and its key\nhint: give --tls-cert and --tls-key$/m,
  ],
  [["inspect"], /inspect needs one IMAGE$/m],
  [["inspect", "--trace", "a"], /there is no option --trace$/m],
];

kvmTest(
  "vm: each wrong command line has its message and status 2",
  async () => {
    const [hello] = await guest("hello");
    await using scratch = new Scratch();
    for (const [args, message] of WRONG) {
      const words = args.map((arg) => arg === "prog" ? hello : arg);
      assertRefused(
        await run(vmWords(...words), { cwd: scratch.path }),
        2,
        message,
      );
    }
    assertEquals([...Deno.readDirSync(scratch.path)], []);
  },
);

kvmTest(
  "vm run: what follows the program's name is the program's",
  async () => {
    const [hello] = await guest("hello");
    const lines: [args: string[], printed: string][] = [
      [[hello, "--trace", "--help"], "hello --trace --help\n"],
      [["--", hello, "--memory=0"], "hello --memory=0\n"],
      [[hello, "--", "-x", "--"], "hello -- -x --\n"],
      [["--", hello, "--"], "hello --\n"],
      [[hello, "0x10", "007", "1e3", "true", ""], "hello 0x10 007 1e3 true \n"],
      [["--memory", "32M", hello, "a b", "ä€𝄞"], "hello a b ä€𝄞\n"],
      [["--strict", hello, "*"], "hello *\n"],
    ];
    for (const [args, printed] of lines) {
      const { stdout, stderr, status } = await vm(["run", ...args]);
      assertEquals({ stdout, stderr }, { stdout: printed, stderr: "" });
      assertEquals(status, args.length - 1 - args.indexOf(hello));
    }
  },
);

kvmTest("vm run: a program with an odd name is a program", async () => {
  const [hello] = await guest("hello");
  await using scratch = new Scratch();
  for (const name of ["true", "7", "--odd", "-", "a b", "ü"]) {
    Deno.copyFileSync(hello, scratch.file(name));
    const before = name.startsWith("--") ? ["--"] : [];
    const words = vmWords("run", "--compress", ...before, name, "x");
    const { stdout, stderr } = await run(words, { cwd: scratch.path });
    assertEquals({ stdout, stderr }, { stdout: "hello x\n", stderr: "" });
  }
});

kvmTest("vm run: --env gives variables, and passes on the user's", async () => {
  const [environment] = await guest("environment");
  const words = vmText(
    ...[
      "run",
      "--env=A=1",
      "--env",
      "B=x=y",
      "--env=C=",
      "--env=MINE",
      "--env=NONE",
    ],
    environment,
  );
  const { stdout, stderr } = await shell(`MINE=passed OTHER=kept ${words}`);
  assertEquals(stderr, "");
  const lines = stdout.split("\n");
  for (const line of ["A=1", "B=x=y", "C=", "MINE=passed"]) {
    assertEquals(lines.filter((found) => found === line), [line]);
  }
  assertEquals(lines.some((line) => /^(OTHER|NONE)=/.test(line)), false);
});

kvmTest("vm: control characters in names and images are escaped", async () => {
  await using scratch = new Scratch();
  const evil = "\u001b]0;title\u0007\u001b[2J\r\nvm: all is well\u202e";
  const shown =
    "\\u001b]0;title\\u0007\\u001b[2J\\u000d\\u000avm: all is well\\u202e";
  for (const command of ["run", "restore", "inspect"]) {
    const path = scratch.file(`none${evil}`);
    const { stdout, stderr, status } = await run(vmWords(command, path));
    assertEquals({ stdout, status }, { stdout: "", status: 1 });
    assertTidy(stderr);
    assertMatch(stderr, /none\\+u001b\]0;title/);
  }
  const outcome = await run(vmWords("run", `--${evil}`, "x"));
  assertEquals(outcome.status, 2);
  assertTidy(outcome.stderr);
  assertStringIncludes(outcome.stderr, shown);
  const image = await saveTiny(scratch.path);
  const pieces = await takeApart(image);
  const table: Value = valueOf(pieces, "fd-table");
  table.files[0] = { type: "device", flags: 0, path: evil };
  await putTogether(image, pieces);
  const restored = await run(vmWords("restore", image));
  assertEquals(restored.status, 4, restored.stderr);
  assertTidy(restored.stderr);
  assertStringIncludes(restored.stderr, shown);
});

kvmTest("vm: --verbose adds where an error came from", async () => {
  const quiet = await vm(["run", "/none"]);
  assertRefused(quiet, 1, /^vm: Cannot run \/none: /);
  const loud = await vm(["run", "--memory", "32M", "--verbose", "/none"]);
  assertEquals(loud.status, 1);
  assertMatch(loud.stderr, /^vm: Cannot run \/none: [^]*\n {4}at /);
  const programs = await vm(["run", "/none", "--verbose"]);
  assertEquals(programs.stderr, quiet.stderr);
});

kvmTest(
  "vm inspect: it shows an image, and closed pipes do not matter",
  async () => {
    await using scratch = new Scratch();
    const image = await saveTiny(scratch.path);
    const shown = await run(vmWords("inspect", image));
    assertEquals({ status: shown.status, stderr: shown.stderr }, {
      status: 0,
      stderr: "",
    });
    assertMatch(
      shown.stdout,
      /^offset\s+kind\s+id\s+version\s+payload\s+data$/m,
    );
    const json = await run(vmWords("inspect", "--json", image));
    const { sections } = JSON.parse(json.stdout);
    assertEquals(sections[0].kind, "machine");
    const piped = await shell(`${vmText("inspect", image)} | head -1`);
    assertEquals(piped.stdout, shown.stdout.split("\n")[0] + "\n");
    assertEquals(piped.stderr, "");
    const broken = Deno.readFileSync(image);
    broken[broken.length - 5000] ^= 1;
    Deno.writeFileSync(image, broken);
    assertRefused(await run(vmWords("inspect", image)), 4, /is damaged$/m);
  },
);
