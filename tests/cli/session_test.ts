/**
 * A command that runs: signals, and standard streams that are closed.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch, vm } from "../support.ts";
import { assertTidy, shell, start, vmText, vmWords } from "./command.ts";

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  for (
    const [name, ...args] of [
      ["blocked_read"],
      ["spin"],
      ["sleep", "100000"],
    ]
  ) {
    kvmTest(
      `vm run: ${signal} ends ${name} with ${status}, and leaves nothing`,
      async () => {
        const [program] = await guest(name);
        await using scratch = new Scratch();
        const words = vmWords("run", program, ...args);
        const running = start(words, { cwd: scratch.path, isFed: true });
        await running.until("ready");
        running.child.kill(signal);
        const outcome = await running.outcome;
        assertEquals(outcome.status, status, outcome.stderr);
        assertEquals([...Deno.readDirSync(scratch.path)], []);
        await running.child.stdin.close().catch(() => {});
      },
    );
  }
}

kvmTest("vm run: a program that handles SIGTERM ends as it wants", async () => {
  const [program] = await guest("signalled");
  await using scratch = new Scratch();
  const words = vmWords("run", program, "wait");
  const running = start(words, { cwd: scratch.path, isFed: true });
  await running.until("ready");
  running.child.kill("SIGHUP"); // which it ignores
  running.child.kill("SIGTERM");
  const { status, stderr } = await running.outcome;
  assertEquals({ status, stderr }, { status: 3, stderr: "" });
  await running.child.stdin.close().catch(() => {});
});

kvmTest("vm run: SIGUSR2 saves and stops, and the image goes on", async () => {
  const [blocked] = await guest("blocked_read");
  await using scratch = new Scratch();
  const words = vmWords("run", "--on-save=file:at.img", blocked);
  const running = start(words, { cwd: scratch.path, isFed: true });
  await running.until("ready");
  // Asked for again and again, it is done once.
  for (let i = 0; i < 5; i++) running.child.kill("SIGUSR2");
  const { status, stdout, stderr } = await running.outcome;
  assertEquals({ status, stdout }, { status: 0, stdout: "ready\n" });
  assertMatch(stderr, /^vm: saved to at\.img \(\d+ bytes\)\n$/);
  await running.child.stdin.close().catch(() => {});
  const restored = await vm(["restore", "at.img"], scratch.path, "one\n");
  assertEquals(restored, {
    stdout: "1: one\nend after 1\n",
    stderr: "",
    status: 0,
  });
  assertEquals([...Deno.readDirSync(scratch.path)].length, 1);
});

kvmTest("vm run: SIGUSR2 with --continue saves again and again", async () => {
  const [blocked] = await guest("blocked_read");
  await using scratch = new Scratch();
  const words = vmWords("run", "--on-save=at.img", "--continue", blocked);
  const running = start(words, { cwd: scratch.path, isFed: true });
  await running.until("ready");
  for (let i = 0; i < 3; i++) {
    running.printed.stderr = "";
    running.child.kill("SIGUSR2");
    await running.until("vm: saved to at.img");
  }
  const writer = running.child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("one\n"));
  await writer.close();
  const { status, stdout } = await running.outcome;
  assertEquals({ status, stdout }, {
    status: 0,
    stdout: "ready\n1: one\nend after 1\n",
  });
});

kvmTest(
  "vm run: a save that fails at SIGUSR2 leaves the program running",
  async () => {
    const [blocked] = await guest("blocked_read");
    await using scratch = new Scratch();
    const words = vmWords("run", "--on-save=none/at.img", blocked);
    const running = start(words, { cwd: scratch.path, isFed: true });
    await running.until("ready");
    running.child.kill("SIGUSR2");
    await running.until("Cannot write");
    const writer = running.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("one\n"));
    await writer.close();
    const { status, stdout, stderr } = await running.outcome;
    assertEquals(stdout, "ready\n1: one\nend after 1\n");
    assertEquals(status, 0);
    assertTidy(stderr);
  },
);

kvmTest("vm restore: SIGINT ends a thawed program with 130", async () => {
  const [blocked] = await guest("blocked_read");
  await using scratch = new Scratch();
  const run = start(vmWords("run", blocked), {
    cwd: scratch.path,
    isFed: true,
  });
  await run.until("ready");
  run.child.kill("SIGUSR2");
  await run.outcome;
  await run.child.stdin.close().catch(() => {});
  const before = Deno.readFileSync(scratch.file("vm.img"));
  const words = vmWords("restore", "--trace", "vm.img");
  const running = start(words, { cwd: scratch.path, isFed: true });
  await running.until("RESTORE OPERATION");
  running.child.kill("SIGINT");
  assertEquals((await running.outcome).status, 130);
  await running.child.stdin.close().catch(() => {});
  assertEquals(Deno.readFileSync(scratch.file("vm.img")), before);
});

kvmTest(
  "vm run: a reader that leaves ends the program, not the VMM",
  async () => {
    const [chatter] = await guest("chatter");
    // The status of the left side of the pipe, on descriptor 3.
    const { stdout, stderr } = await shell(
      `{ { ${
        vmText("run", chatter)
      }; echo "status $?" >&3; } | head -1; } 3>&1`,
    );
    assertEquals(stdout.split("\n").sort(), ["", "line 0", "status 141"]);
    assertMatch(stderr, /^vm: the program was ended by SIGPIPE /);
    assertTidy(stderr);
  },
);

kvmTest(
  "vm run: a trace that nobody reads does not end the program",
  async () => {
    const [files] = await guest("append");
    await using scratch = new Scratch();
    const command = vmText(
      "run",
      "--trace-to=stdout",
      "--on-save=vm.img",
      files,
    );
    const { stdout, stderr } = await shell(`${command} | true`, scratch.path);
    assertEquals({ stdout, stderr }, { stdout: "", stderr: "" });
    assertEquals(
      [...Deno.readDirSync(scratch.path)].map(({ name }) => name).sort(),
      ["append.txt", "vm.img"],
    );
  },
);

kvmTest("vm run: closed standard streams are as natively", async () => {
  const [hello, cat] = await guest("hello", "cat");
  const noInput = await shell(`${vmText("run", cat)} <&-`);
  assert(noInput.status < 126, `${noInput.status}`);
  assertEquals(noInput.stdout, "");
  const noOutput = await shell(`${vmText("run", hello)} >&-`);
  assertEquals({ stdout: noOutput.stdout, stderr: noOutput.stderr }, {
    stdout: "",
    stderr: "",
  });
  const noErrors = await shell(`${vmText("run", "/none")} 2>&-`);
  assertEquals(noErrors, { stdout: "", stderr: "", status: 1 });
  const full = await shell(`${vmText("run", "/none")} 2>/dev/full`);
  assertEquals(full, { stdout: "", stderr: "", status: 1 });
});

kvmTest(
  "vm run: an image that is a link stays one, unless the program made it",
  async () => {
    const [program] = await guest("saves");
    await using scratch = new Scratch();
    await Deno.mkdir(scratch.file("in"));
    await Deno.writeTextFile(scratch.file("precious"), "mine");
    await Deno.symlink("../precious", scratch.file("in/trap"));
    await Deno.symlink("../real.img", scratch.file("in/vm.img"));
    await Deno.writeTextFile(scratch.file("real.img"), "");
    const run = () => vm(["run", program, "1"], scratch.file("in"));
    assertEquals((await run()).status, 0);
    assertEquals(await Deno.readLink(scratch.file("in/vm.img")), "../real.img");
    assert((await Deno.stat(scratch.file("real.img"))).size > 1000);
    // The link is swapped for another while the program runs.
    const [held] = await guest("blocked_read");
    await Deno.remove(scratch.file("in/vm.img"));
    const running = start(vmWords("run", held), {
      cwd: scratch.file("in"),
      isFed: true,
    });
    await running.until("ready");
    await Deno.rename(scratch.file("in/trap"), scratch.file("in/vm.img"));
    running.child.kill("SIGUSR2");
    assertEquals((await running.outcome).status, 0);
    await running.child.stdin.close().catch(() => {});
    assertEquals(await Deno.readTextFile(scratch.file("precious")), "mine");
    assert((await Deno.lstat(scratch.file("in/vm.img"))).isFile);
  },
);

kvmTest(
  "vm run: it stops as its program does, and SIGCONT continues both",
  async () => {
    const [program] = await guest("stop");
    await using scratch = new Scratch();
    const words = vmWords("run", program, "from_outside");
    const running = start(words, { cwd: scratch.path });
    const isStopped = () =>
      Deno.readTextFileSync(`/proc/${running.child.pid}/stat`).includes(") T ");
    for (const signal of [undefined, "SIGTSTP"] as const) {
      if (signal) running.child.kill(signal); // as ^Z does
      while (!isStopped()) await delay(10);
      running.child.kill("SIGCONT");
      while (isStopped()) await delay(10);
    }
    const { status, stderr } = await running.outcome;
    assertEquals({ status, stderr }, { status: 0, stderr: "" });
  },
);
